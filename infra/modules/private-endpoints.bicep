// Private endpoints, and their addresses in the private DNS zones. One after the other: an account that another endpoint is
// being made for, or a zone that is being written, refuses.

import { privateTarget } from '../types.bicep'

@description('What is reached through private endpoints.')
param targets privateTarget[]

@description('Subnet of private endpoints.')
param subnetId string

@description('Location.')
param location string

@description('Tags.')
param tags object

@batchSize(1)
resource endpoints 'Microsoft.Network/privateEndpoints@2025-01-01' = [
  for target in targets: {
    name: target.name
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      customNetworkInterfaceName: '${target.name}-nic'
      privateLinkServiceConnections: [
        {
          name: target.group
          properties: {
            #disable-next-line use-resource-id-functions // it comes from a parameter
            privateLinkServiceId: target.resourceId
            groupIds: [target.group]
          }
        }
      ]
    }
  }
]

@batchSize(1)
resource addresses 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-01-01' = [
  for (target, index) in targets: {
    parent: endpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        for zone in target.zones: {
          name: replace(zone, '.', '-')
          properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', zone) }
        }
      ]
    }
  }
]
