// Telemetry through the virtual network: Azure Monitor is reached by a scope, not by each of its resources.

@description('Name of the scope.')
@minLength(1)
@maxLength(255)
param name string

@description('Tags.')
param tags object

@description('Resource id of Application Insights.')
param applicationInsightsId string

@description('Resource id of a workspace of our own; empty: it was brought along, and so were its connections.')
param workspaceId string

resource scope 'Microsoft.Insights/privateLinkScopes@2021-09-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    accessModeSettings: {
      ingestionAccessMode: 'PrivateOnly'
      queryAccessMode: 'Open'
    }
  }

  resource applicationInsights 'scopedResources' = {
    name: 'application-insights'
    properties: { linkedResourceId: applicationInsightsId }
  }

  resource workspace 'scopedResources' = if (!empty(workspaceId)) {
    name: 'workspace'
    properties: { linkedResourceId: workspaceId }
    dependsOn: [applicationInsights] // the scope takes one at a time
  }
}
