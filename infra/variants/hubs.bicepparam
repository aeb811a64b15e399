// Several hubs: three made, in two regions, and one brought along.
using '../main.bicep'

param environmentName = 'hubs'
param location = 'westeurope'
param targetBasedScaling = false
param credentials = true
param closeHubs = true
param hubOperationsPerMinute = 200
param allocationPolicy = 'GeoLatency'
param newIotHubs = [
  { allocationWeight: 3 }
  { location: 'northeurope', sku: 'S2', units: 2 }
  { name: 'iot-contoso-third', sku: 'B1' }
]
param existingIotHubs = [
  {
    resourceId: '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg-iot/providers/Microsoft.Devices/IotHubs/iot-contoso'
    location: 'germanywestcentral'
    allocationWeight: 2
  }
]
