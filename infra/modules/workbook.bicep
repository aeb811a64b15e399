// The workbook `Enrollment`: the pipeline and the fleet on one page of the portal. Its content is workbook.json.

@description('Location.')
param location string

@description('Tags.')
param tags object

@description('Log Analytics workspace that it asks.')
param workspaceId string

@description('Application Insights component of the app.')
param applicationInsightsId string

@description('Service Bus namespace.')
param serviceBusId string

@description('DPS instance.')
param dpsId string

var values = {
  WORKSPACE: workspaceId
  APPLICATION_INSIGHTS: applicationInsightsId
  SERVICE_BUS: serviceBusId
  DPS: dpsId
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'enrollment')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Enrollment'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: reduce(
      items(values),
      loadTextContent('workbook.json'),
      (text, value) => replace(text, '<${value.key}>', value.value)
    )
  }
}
