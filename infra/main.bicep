// Everything that the enrollment pipeline needs in Azure, from an empty subscription. infra/README.md says how to use it.

targetScope = 'subscription'

import { existingIotHub, newIotHub, privateTarget, resourceNames, webhookSender } from 'types.bicep'

@description('Name of the environment, such as `dev` or `plant-brno`. Part of the resource group\'s name, and of the hash in all other names.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Location of all resources: where there are both Flex Consumption and DPS.')
@allowed([
  'australiaeast'
  'australiasoutheast'
  'brazilsouth'
  'canadacentral'
  'centralindia'
  'centralus'
  'eastasia'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'japaneast'
  'koreacentral'
  'northcentralus'
  'northeurope'
  'norwayeast'
  'southafricanorth'
  'southcentralus'
  'southeastasia'
  'southindia'
  'swedencentral'
  'uaenorth'
  'uksouth'
  'ukwest'
  'westcentralus'
  'westeurope'
  'westus'
  'westus2'
  'westus3'
])
@metadata({ azd: { type: 'location' } })
param location string

@description('Names of one\'s own choice, where the made ones do not suit.')
param names resourceNames = {}

@description('Tags for all resources.')
param tags { *: string } = {}

@description('One switch: a virtual network, private endpoints and DNS zones, public access off, Service Bus Premium.')
param networkIsolation bool = false

@description('Addresses of the virtual network; two subnets of 256 addresses are cut out of it. Used with networkIsolation only.')
@minLength(9)
@maxLength(18)
param networkAddressPrefix string = '10.42.0.0/16'

@description('IoT hubs to make and link to DPS. Ignored where DPS is brought along.')
@maxLength(50)
param newIotHubs newIotHub[] = [{}]

@description('IoT hubs that exist, to link to DPS. Where DPS is brought along they are linked already: then only `closeHubs` uses them.')
@maxLength(50)
param existingIotHubs existingIotHub[] = []

@description('How DPS spreads devices over hubs, where their enrollment does not say.')
@allowed(['Hashed', 'GeoLatency', 'Static'])
param allocationPolicy string = 'Hashed'

@description('Client id of the app registration that people sign in with, to see the pages; empty: the pages are closed.')
@maxLength(36)
param signInClientId string = ''

@description('Resource id of a DPS instance that exists; empty: one is made.')
@maxLength(400)
param existingDpsId string = ''

@description('Resource id of a Service Bus namespace that exists, Standard or Premium; the entities are made in it. Empty: a namespace is made.')
@maxLength(400)
param existingServiceBusId string = ''

@description('Resource id of a Log Analytics workspace that exists; empty: one is made.')
@maxLength(400)
param existingWorkspaceId string = ''

@description('Version of Node that runs the app.')
@allowed(['22', '24'])
param nodeVersion string = '24'

@description('Most instances of a function. DPS takes 1,000 operations a minute, however many ask.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Lets the app manage its queues (Azure Service Bus Data Owner on them), so that the platform sees how long they are. Off: fewer rights, but the platform only peeks at the head of a queue, and takes one whose head is to be tried again later for empty.')
param targetBasedScaling bool = true

@description('Object id of a person who may look at data, put in secrets of webhook senders, send events and read outcomes; empty: nobody.')
@maxLength(36)
param dataRolesFor string = ''

@description('Keeps the key vault from being purged for 90 days after it was deleted; its name is taken for as long. Cannot be taken back.')
param purgeProtection bool = false

@description('DPS operations a minute that the app may use, over all instances.')
@minValue(1)
@maxValue(1000000)
param dpsOperationsPerMinute int = 1000

@description('Lets whoever has the key of the function device-credentials, or the app role Fleet.Credentials, fetch the keys of devices.')
param credentials bool = false

@description('Devices whose keys may be fetched in a minute; an alert says when more were asked for.')
@minValue(1)
@maxValue(100000)
param credentialsPerMinute int = 60

@description('Closes held, scrapped, recalled and retired devices in their IoT hubs, too, and gives the app the role for that on every hub named here.')
param closeHubs bool = false

@description('Registry operations a minute that the app may use of each hub: 100 a unit of S1 and S2, 5,000 a unit of S3.')
@minValue(1)
@maxValue(1000000)
param hubOperationsPerMinute int = 100

@description('When the audit starts: NCRONTAB with six fields, in UTC.')
@minLength(11)
@maxLength(100)
param auditSchedule string = '0 0 4 * * *'

@description('Percentage of the operations that an audit may use while one runs.')
@minValue(1)
@maxValue(99)
param auditQuotaPercentage int = 30

@description('Hours within which an audit must end, or an alert says that one was missed.')
@minValue(1)
@maxValue(47)
param auditExpectedEveryHours int = 30

@description('Days that events, and rejected events, are kept.')
@minValue(1)
@maxValue(36500)
param eventRetentionDays int = 400

@description('Days that logs are kept in a workspace that is made.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('File of enrollment profiles in the deployed package; empty: the packaged ones.')
@maxLength(200)
param enrollmentProfilesFile string = ''

@description('File of webhook senders in the deployed package; empty: the packaged one.')
@maxLength(200)
param sendersFile string = ''

@description('Senders of signed webhooks whose secrets the key vault holds.')
@maxLength(50)
param webhookSenders webhookSender[] = []

@description('Address that alerts are mailed to; empty: they are seen in the portal only.')
@maxLength(254)
param alertEmail string = ''

@description('Minutes that a message may wait before an alert says so.')
@allowed([5, 15, 30, 60, 360])
param oldestMessageMinutes int = 15

// Everything has its name and id from here, before anything is deployed: so a what-if, and the tests, see all of it.

var token = toLower(uniqueString(subscription().id, environmentName, location))
var allTags = union({ 'azd-env-name': environmentName }, tags)
var diagnosticsName = 'to-workspace-${token}'

var ownDps = empty(existingDpsId)
var ownServiceBus = empty(existingServiceBusId)
var ownWorkspace = empty(existingWorkspaceId)

var resourceGroupName = names.?resourceGroup ?? 'rg-${environmentName}'
var identityName = names.?identity ?? 'id-${token}'
var signInIdentityName = 'id-signin-${token}'
var functionAppName = names.?functionApp ?? 'func-${token}'
var planName = names.?plan ?? 'plan-${token}'
var storageAccountName = names.?storageAccount ?? 'st${token}'
var keyVaultName = names.?keyVault ?? 'kv-${token}'
var workspaceName = names.?workspace ?? 'log-${token}'
var applicationInsightsName = names.?applicationInsights ?? 'appi-${token}'
var actionGroupName = names.?actionGroup ?? 'ag-${token}'
var networkName = names.?virtualNetwork ?? 'vnet-${token}'
var monitoringScopeName = 'ampls-${token}'
var serviceBusName = ownServiceBus ? (names.?serviceBus ?? 'sb-${token}') : last(split(existingServiceBusId, '/'))
var dpsName = ownDps ? (names.?dps ?? 'dps-${token}') : last(split(existingDpsId, '/'))

var groupId = '${subscription().id}/resourceGroups/${resourceGroupName}'
var identityId = '${groupId}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${identityName}'
var functionAppId = '${groupId}/providers/Microsoft.Web/sites/${functionAppName}'
var storageId = '${groupId}/providers/Microsoft.Storage/storageAccounts/${storageAccountName}'
var keyVaultId = '${groupId}/providers/Microsoft.KeyVault/vaults/${keyVaultName}'
var applicationInsightsId = '${groupId}/providers/Microsoft.Insights/components/${applicationInsightsName}'
var networkId = '${groupId}/providers/Microsoft.Network/virtualNetworks/${networkName}'
var monitoringScopeId = '${groupId}/providers/Microsoft.Insights/privateLinkScopes/${monitoringScopeName}'
var workspaceId = ownWorkspace
  ? '${groupId}/providers/Microsoft.OperationalInsights/workspaces/${workspaceName}'
  : existingWorkspaceId
var serviceBusId = ownServiceBus
  ? '${groupId}/providers/Microsoft.ServiceBus/namespaces/${serviceBusName}'
  : existingServiceBusId
var dpsId = ownDps ? '${groupId}/providers/Microsoft.Devices/provisioningServices/${dpsName}' : existingDpsId

var serviceBusHost = '${serviceBusName}.servicebus.windows.net'
var blobEndpoint = 'https://${storageAccountName}.blob.${environment().suffixes.storage}'
var tableEndpoint = 'https://${storageAccountName}.table.${environment().suffixes.storage}'
var packageContainerName = 'app-package'

// The app reads and writes these queues, and writes these topics (src/events/messaging-entities.ts).
var queueNames = ['manufacturing-events', 'background-work']
var topicNames = ['enrollment-outcomes']

var madeHubs = map(range(0, ownDps ? length(newIotHubs) : 0), index => {
  name: newIotHubs[index].?name ?? 'iot-${token}-${index + 1}'
  location: newIotHubs[index].?location ?? location
  sku: newIotHubs[index].?sku ?? 'S1'
  units: newIotHubs[index].?units ?? 1
})
var linkedHubs = concat(
  map(range(0, length(madeHubs)), index => {
    id: '${groupId}/providers/Microsoft.Devices/IotHubs/${madeHubs[index].name}'
    location: madeHubs[index].location
    allocationWeight: newIotHubs[index].?allocationWeight ?? 1
  }),
  map(existingIotHubs, hub => {
    id: hub.resourceId
    location: hub.location
    allocationWeight: hub.?allocationWeight ?? 1
  })
)

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: identityName
    location: location
    tags: allTags
  }
}

// Used for nothing but to speak for the app registration.
module signInIdentity 'modules/identity.bicep' = if (!empty(signInClientId)) {
  scope: group
  params: {
    name: signInIdentityName
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: workspaceName
    existingWorkspaceId: existingWorkspaceId
    applicationInsightsName: applicationInsightsName
    location: location
    tags: allTags
    retentionInDays: logRetentionDays
    isolated: networkIsolation
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: storageAccountName
    location: location
    tags: allTags
    isolated: networkIsolation
    workspaceId: workspaceId
    diagnosticsName: diagnosticsName
    packageContainerName: packageContainerName
  }
  dependsOn: [monitoring]
}

module keyVault 'modules/key-vault.bicep' = {
  scope: group
  params: {
    name: keyVaultName
    location: location
    tags: allTags
    purgeProtection: purgeProtection
    isolated: networkIsolation
    workspaceId: workspaceId
    diagnosticsName: diagnosticsName
  }
  dependsOn: [monitoring]
}

module serviceBusNamespace 'modules/service-bus-namespace.bicep' = if (ownServiceBus) {
  scope: group
  params: {
    name: serviceBusName
    location: location
    tags: allTags
    isolated: networkIsolation
  }
}

module serviceBusEntities 'modules/service-bus-entities.bicep' = {
  scope: resourceGroup(split(serviceBusId, '/')[2], split(serviceBusId, '/')[4])
  params: {
    namespaceName: serviceBusName
    workspaceId: workspaceId
    diagnosticsName: diagnosticsName
  }
  dependsOn: [monitoring, serviceBusNamespace]
}

module iotHubs 'modules/iot-hubs.bicep' = if (ownDps) {
  scope: group
  params: {
    hubs: madeHubs
    tags: allTags
    isolated: networkIsolation
    workspaceId: workspaceId
    diagnosticsName: diagnosticsName
  }
  dependsOn: [monitoring]
}

module dps 'modules/dps.bicep' = if (ownDps) {
  scope: group
  params: {
    name: dpsName
    location: location
    tags: allTags
    isolated: networkIsolation
    allocationPolicy: allocationPolicy
    hubs: linkedHubs
  }
  dependsOn: [iotHubs]
}

module dpsDiagnostics 'modules/dps-diagnostics.bicep' = {
  scope: resourceGroup(split(dpsId, '/')[2], split(dpsId, '/')[4])
  params: {
    dpsName: dpsName
    workspaceId: workspaceId
    diagnosticsName: diagnosticsName
  }
  dependsOn: [monitoring, dps]
}

module rolesOfApp 'modules/roles-of-app.bicep' = {
  scope: group
  params: {
    identityId: identityId
    principalId: identity.outputs.principalId
    personId: dataRolesFor
    storageAccountName: storageAccountName
    keyVaultName: keyVaultName
    applicationInsightsName: applicationInsightsName
  }
  dependsOn: [storage, keyVault, monitoring]
}

module rolesOnServiceBus 'modules/roles-on-service-bus.bicep' = {
  scope: resourceGroup(split(serviceBusId, '/')[2], split(serviceBusId, '/')[4])
  params: {
    identityId: identityId
    principalId: identity.outputs.principalId
    personId: dataRolesFor
    namespaceName: serviceBusName
    queueNames: queueNames
    topicNames: topicNames
    mayManageQueues: targetBasedScaling
  }
  dependsOn: [serviceBusEntities]
}

module rolesOnDps 'modules/roles-on-dps.bicep' = {
  scope: resourceGroup(split(dpsId, '/')[2], split(dpsId, '/')[4])
  params: {
    identityId: identityId
    principalId: identity.outputs.principalId
    personId: dataRolesFor
    dpsName: dpsName
  }
  dependsOn: [dps]
}

// Of a DPS instance that is brought along nobody says here which hubs are linked.
var hubsToClose = !closeHubs
  ? []
  : ownDps ? map(linkedHubs, hub => hub.id) : map(existingIotHubs, hub => hub.resourceId)

module rolesOnIotHubs 'modules/roles-on-iot-hub.bicep' = [
  for hubId in hubsToClose: {
    scope: resourceGroup(split(hubId, '/')[2], split(hubId, '/')[4])
    params: {
      identityId: identityId
      principalId: identity.outputs.principalId
      hubName: split(hubId, '/')[8]
    }
    dependsOn: [iotHubs]
  }
]

var blobZone = 'privatelink.blob.${environment().suffixes.storage}'
var tableZone = 'privatelink.table.${environment().suffixes.storage}'
var zones = {
  vault: 'privatelink.vaultcore.azure.net'
  serviceBus: 'privatelink.servicebus.windows.net' // of IoT hubs, too
  dps: 'privatelink.azure-devices-provisioning.net'
  iotHub: 'privatelink.azure-devices.net'
  app: 'privatelink.azurewebsites.net'
}
var monitorZones = [
  'privatelink.monitor.azure.com'
  'privatelink.oms.opinsights.azure.com'
  'privatelink.ods.opinsights.azure.com'
  'privatelink.agentsvc.azure-automation.net'
]
// Only of what is ours: an empty zone would hide the private endpoints that others have made.
var zoneNames = concat(
  [blobZone, tableZone, zones.vault, zones.app],
  ownServiceBus || !empty(madeHubs) ? [zones.serviceBus] : [],
  ownDps ? [zones.dps] : [],
  empty(madeHubs) ? [] : [zones.iotHub],
  monitorZones
)

module network 'modules/network.bicep' = if (networkIsolation) {
  scope: group
  params: {
    name: networkName
    location: location
    tags: allTags
    addressPrefix: networkAddressPrefix
    zoneNames: zoneNames
    workspaceId: workspaceId
    diagnosticsName: diagnosticsName
  }
  dependsOn: [monitoring]
}

module functionApp 'modules/function-app.bicep' = {
  scope: group
  params: {
    name: functionAppName
    planName: planName
    location: location
    tags: allTags
    nodeVersion: nodeVersion
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    identityId: identityId
    identityClientId: identity.outputs.clientId
    signInIdentityId: empty(signInClientId)
      ? ''
      : '${groupId}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${signInIdentityName}'
    packageContainer: '${blobEndpoint}/${packageContainerName}'
    blobEndpoint: blobEndpoint
    tableEndpoint: tableEndpoint
    serviceBusHost: serviceBusHost
    dpsEndpoint: 'https://${dpsName}.azure-devices-provisioning.net'
    dpsId: dpsId
    keyVaultUri: 'https://${keyVaultName}${environment().suffixes.keyvaultDns}/'
    webhookSenders: webhookSenders
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    appSettings: {
      DPS_OPERATIONS_PER_MINUTE: string(dpsOperationsPerMinute)
      AUDIT_SCHEDULE: auditSchedule
      AUDIT_QUOTA_SHARE: auditQuotaPercentage < 10 ? '0.0${auditQuotaPercentage}' : '0.${auditQuotaPercentage}'
      EVENT_RETENTION_DAYS: string(eventRetentionDays)
      ...(credentials ? { CREDENTIALS: 'on', CREDENTIALS_PER_MINUTE: string(credentialsPerMinute) } : {})
      ...(closeHubs ? { HUB_ACCESS: 'close', HUB_OPERATIONS_PER_MINUTE: string(hubOperationsPerMinute) } : {})
      ...(empty(enrollmentProfilesFile) ? {} : { ENROLLMENT_PROFILES: enrollmentProfilesFile })
      ...(empty(sendersFile) ? {} : { SENDERS: sendersFile })
      ...(empty(signInClientId)
        ? {}
        : {
            SIGN_IN: 'entra'
            OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: signInIdentity!.outputs.clientId
          })
    }
    isolated: networkIsolation
    outgoingSubnetId: networkIsolation ? '${networkId}/subnets/app' : ''
    workspaceId: workspaceId
    diagnosticsName: diagnosticsName
  }
  dependsOn: [network, privateEndpoints, rolesOfApp, rolesOnServiceBus, rolesOnDps, rolesOnIotHubs]
}

module signIn 'modules/sign-in.bicep' = if (!empty(signInClientId)) {
  scope: group
  params: {
    functionAppName: functionAppName
    clientId: signInClientId
    tenantId: tenant().tenantId
  }
  dependsOn: [functionApp]
}

// Only what is ours: what was brought along has its own way through networks.
var endpointTargets privateTarget[] = networkIsolation
  ? concat(
      [
        { name: 'pe-blob-${token}', resourceId: storageId, group: 'blob', zones: [blobZone] }
        { name: 'pe-table-${token}', resourceId: storageId, group: 'table', zones: [tableZone] }
        { name: 'pe-vault-${token}', resourceId: keyVaultId, group: 'vault', zones: [zones.vault] }
        {
          name: 'pe-monitor-${token}'
          resourceId: monitoringScopeId
          group: 'azuremonitor'
          zones: concat(monitorZones, [blobZone])
        }
      ],
      ownServiceBus
        ? [{ name: 'pe-service-bus-${token}', resourceId: serviceBusId, group: 'namespace', zones: [zones.serviceBus] }]
        : [],
      ownDps ? [{ name: 'pe-dps-${token}', resourceId: dpsId, group: 'iotDps', zones: [zones.dps] }] : [],
      map(range(0, length(madeHubs)), index => {
        name: 'pe-iot-hub-${index + 1}-${token}'
        resourceId: linkedHubs[index].id
        group: 'iotHub'
        zones: [zones.iotHub, zones.serviceBus]
      })
    )
  : []

module privateMonitoring 'modules/private-monitoring.bicep' = if (networkIsolation) {
  scope: group
  params: {
    name: 'ampls-${token}'
    tags: allTags
    applicationInsightsId: applicationInsightsId
    workspaceId: empty(existingWorkspaceId) ? workspaceId : ''
  }
  dependsOn: [monitoring]
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (networkIsolation) {
  scope: group
  params: {
    targets: endpointTargets
    subnetId: '${networkId}/subnets/private-endpoints'
    location: location
    tags: allTags
  }
  dependsOn: [network, storage, keyVault, privateMonitoring, serviceBusNamespace, dps, iotHubs]
}

// After the app, which needs the others to start.
module privateEndpointOfApp 'modules/private-endpoints.bicep' = if (networkIsolation) {
  scope: group
  params: {
    targets: [{ name: 'pe-app-${token}', resourceId: functionAppId, group: 'sites', zones: [zones.app] }]
    subnetId: '${networkId}/subnets/private-endpoints'
    location: location
    tags: allTags
  }
  dependsOn: [functionApp]
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    actionGroupName: actionGroupName
    alertEmail: alertEmail
    nameEnding: token
    location: location
    tags: allTags
    workspaceId: workspaceId
    applicationInsightsId: applicationInsightsId
    functionAppId: functionAppId
    serviceBusId: serviceBusId
    storageId: storageId
    dpsId: dpsId
    keyVaultId: keyVaultId
    oldestMessageMinutes: oldestMessageMinutes
    auditExpectedEveryHours: auditExpectedEveryHours
  }
  dependsOn: [monitoring, serviceBusEntities, storage, keyVault, dps]
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    workspaceId: workspaceId
    applicationInsightsId: applicationInsightsId
    serviceBusId: serviceBusId
    dpsId: dpsId
  }
  dependsOn: [monitoring]
}

@description('Resource group that all of this is in.')
output resourceGroupName string = group.name

@description('Name of the function app.')
output functionAppName string = functionAppName

@description('Object id of the identity that speaks for the app registration: the subject of its federated credential. Empty without sign-in.')
output signInIdentityPrincipalId string = empty(signInClientId) ? '' : signInIdentity!.outputs.principalId

@description('Address of the function app.')
output functionAppUrl string = functionApp.outputs.url

@description('Name of the DPS instance.')
output dpsName string = dpsName

@description('Host name of the Service Bus namespace.')
output serviceBusHost string = serviceBusHost

@description('Name of the key vault that takes the secrets of webhook senders.')
output keyVaultName string = keyVaultName
