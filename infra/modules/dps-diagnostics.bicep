// Logs of a DPS instance, which may be one that was brought along: what devices and what services asked of it.

@description('Name of the DPS instance.')
param dpsName string

@description('Log Analytics workspace that logs and metrics go to.')
param workspaceId string

@description('Name of the diagnostic setting.')
param diagnosticsName string

resource dps 'Microsoft.Devices/provisioningServices@2022-12-12' existing = {
  name: dpsName
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: diagnosticsName
  scope: dps
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'DeviceOperations', enabled: true }
      { category: 'ServiceOperations', enabled: true }
    ]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
