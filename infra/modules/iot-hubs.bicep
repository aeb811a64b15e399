// IoT hubs of our own, for DPS to assign devices to.

import { madeHub } from '../types.bicep'

@description('The hubs.')
@maxLength(50)
param hubs madeHub[]

@description('Tags.')
param tags object

@description('Whether only private endpoints reach them.')
param isolated bool

@description('Log Analytics workspace that logs and metrics go to.')
param workspaceId string

@description('Name of the diagnostic settings.')
param diagnosticsName string

// DPS signs in to a hub with a key: local authentication of hubs stays on (see the README).
resource iotHubs 'Microsoft.Devices/IotHubs@2023-06-30' = [
  for hub in hubs: {
    name: hub.name
    location: hub.location
    tags: tags
    sku: {
      name: hub.sku
      capacity: hub.units
    }
    properties: {
      minTlsVersion: '1.2'
      publicNetworkAccess: isolated ? 'Disabled' : 'Enabled'
    }
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [
  for (hub, index) in hubs: {
    name: diagnosticsName
    scope: iotHubs[index]
    properties: {
      workspaceId: workspaceId
      logs: [
        { category: 'Connections', enabled: true }
        { category: 'DeviceIdentityOperations', enabled: true }
      ]
      metrics: [{ category: 'AllMetrics', enabled: true }]
    }
  }
]
