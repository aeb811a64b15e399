// A DPS instance of our own, and the hubs that it assigns devices to.

import { linkedHub } from '../types.bicep'

@description('Name of the instance.')
@minLength(3)
@maxLength(64)
param name string

@description('Location.')
param location string

@description('Tags.')
param tags object

@description('Whether only private endpoints reach it.')
param isolated bool

@description('The hubs to link.')
@maxLength(50)
param hubs linkedHub[]

@description('How devices are spread over the hubs, where their enrollment does not say.')
@allowed(['Hashed', 'GeoLatency', 'Static'])
param allocationPolicy string

// Linking takes a connection string. It is taken here, and goes nowhere else: not to a setting, not to an output.
resource dps 'Microsoft.Devices/provisioningServices@2022-12-12' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'S1', capacity: 1 }
  properties: {
    allocationPolicy: allocationPolicy
    publicNetworkAccess: isolated ? 'Disabled' : 'Enabled'
    iotHubs: [
      for hub in hubs: {
        connectionString: 'HostName=${reference(hub.id, '2023-06-30').hostName};SharedAccessKeyName=iothubowner;SharedAccessKey=${listKeys('${hub.id}/IotHubKeys/iothubowner', '2023-06-30').primaryKey}'
        location: hub.location
        allocationWeight: hub.allocationWeight
        applyAllocationPolicy: true
      }
    ]
  }
}
