// Log Analytics, unless one was brought along, and Application Insights on top of it. Both know Entra ID only.

@description('Name of the workspace, if it is to be made.')
@minLength(4)
@maxLength(63)
param workspaceName string

@description('Resource id of a workspace that exists; empty: one is made.')
param existingWorkspaceId string

@description('Name of the Application Insights component.')
@minLength(1)
@maxLength(260)
param applicationInsightsName string

@description('Location.')
param location string

@description('Tags.')
param tags object

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param retentionInDays int

@description('Whether telemetry is taken through a private endpoint only.')
param isolated bool

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = if (empty(existingWorkspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionInDays
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
    publicNetworkAccessForIngestion: isolated ? 'Disabled' : 'Enabled'
    // People read logs and workbooks in the portal, isolated or not; Entra ID decides who may.
    publicNetworkAccessForQuery: 'Enabled'
  }
}

resource workspaceDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (empty(existingWorkspaceId)) {
  name: 'to-itself'
  scope: workspace
  properties: {
    workspaceId: workspace.id
    logs: [{ category: 'Audit', enabled: true }]
  }
}

var workspaceId = empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' = {
  name: applicationInsightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    DisableLocalAuth: true
    publicNetworkAccessForIngestion: isolated ? 'Disabled' : 'Enabled'
    publicNetworkAccessForQuery: 'Enabled'
  }
}

@description('Where telemetry goes. An address, no key: without Entra ID nothing is taken there.')
output connectionString string = applicationInsights.properties.ConnectionString
