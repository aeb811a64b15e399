// The plan and the function app on it: Flex Consumption, without keys in its settings.

import { webhookSender } from '../types.bicep'

@description('Name of the function app.')
@minLength(2)
@maxLength(32)
param name string

@description('Name of the plan.')
@minLength(1)
@maxLength(40)
param planName string

@description('Location.')
param location string

@description('Tags.')
param tags object

@description('Version of Node.')
@allowed(['22', '24'])
param nodeVersion string

@description('Most instances of a function.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int

@description('Resource id of the identity.')
param identityId string

@description('Client id of the identity.')
param identityClientId string

@description('Resource id of the identity that speaks for the app registration of sign-in; empty: nobody signs in.')
param signInIdentityId string

@description('Address of the container of packages.')
param packageContainer string

@description('Address of the blob service.')
param blobEndpoint string

@description('Address of the table service.')
param tableEndpoint string

@description('Host name of the Service Bus namespace.')
param serviceBusHost string

@description('Address of the DPS instance.')
param dpsEndpoint string

@description('DPS instance: it knows its ID scope.')
param dpsId string

@description('Address of the key vault, with a slash at its end.')
param keyVaultUri string

@description('Senders of signed webhooks.')
param webhookSenders webhookSender[]

@description('Where telemetry goes.')
param applicationInsightsConnectionString string

@description('Settings of the app that are no addresses.')
param appSettings object

@description('Whether only private endpoints reach it.')
param isolated bool

@description('Subnet that outgoing connections come from; empty: none.')
param outgoingSubnetId string

@description('Log Analytics workspace that logs and metrics go to.')
param workspaceId string

@description('Name of the diagnostic settings.')
param diagnosticsName string

var webhookSettings = toObject(
  webhookSenders,
  entry => 'WEBHOOK_SECRETS_${toUpper(replace(entry.sender, '-', '_'))}',
  entry =>
    '@Microsoft.KeyVault(SecretUri=${keyVaultUri}secrets/${entry.?secretName ?? 'webhook-secrets-${entry.sender}'})'
)

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' }) // azd finds the app by this tag
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: union({ '${identityId}': {} }, empty(signInIdentityId) ? {} : { '${signInIdentityId}': {} })
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: isolated ? 'Disabled' : 'Enabled'
    keyVaultReferenceIdentity: identityId
    ...(empty(outgoingSubnetId) ? {} : { virtualNetworkSubnetId: outgoingSubnetId })
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
    }
    functionAppConfig: {
      runtime: { name: 'node', version: nodeVersion }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainer
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstanceCount
        instanceMemoryMB: instanceMemoryMB
      }
    }
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: {
      AzureWebJobsStorage__blobServiceUri: blobEndpoint
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      ServiceBusConnection__fullyQualifiedNamespace: serviceBusHost
      ServiceBusConnection__credential: 'managedidentity'
      ServiceBusConnection__clientId: identityClientId
      TableStorage__tableServiceUri: tableEndpoint
      TableStorage__clientId: identityClientId
      DPS_ENDPOINT: dpsEndpoint
      DPS_ID_SCOPE: reference(dpsId, '2022-12-12').idScope
      AZURE_CLIENT_ID: identityClientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      // Every trace, and every log line with it: by default, the exporter keeps five traces a second.
      OTEL_TRACES_SAMPLER: 'microsoft.fixed_percentage'
      OTEL_TRACES_SAMPLER_ARG: '1.0'
      // Twice what the app takes, so that the app can say so itself.
      FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '2097152'
      ...appSettings
      ...webhookSettings
    }
  }

  // Packages are deployed with Entra ID.
  resource scmCredentials 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

// The app's logs are in Application Insights; these are the host's own, for when it does not come up.
resource appDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: diagnosticsName
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'FunctionAppLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource planDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: diagnosticsName
  scope: plan
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Address of the app.')
output url string = 'https://${app.properties.defaultHostName}'
