// The virtual network of the switch networkIsolation, with private DNS zones. What is reached through it: private-endpoints.bicep.

@description('Name of the virtual network.')
@minLength(2)
@maxLength(64)
param name string

@description('Location.')
param location string

@description('Tags.')
param tags object

@description('Addresses of the network; two subnets of 256 are cut out of it.')
@minLength(9)
@maxLength(18)
param addressPrefix string

@description('Private DNS zones to make and link to the network.')
param zoneNames string[]

@description('Log Analytics workspace that metrics go to.')
param workspaceId string

@description('Name of the diagnostic setting.')
param diagnosticsName string

resource network 'Microsoft.Network/virtualNetworks@2025-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 0)
          delegations: [
            {
              name: 'flex-consumption'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'private-endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 1)
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zoneName in zoneNames: {
    name: zoneName
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zoneName, index) in zoneNames: {
    parent: zones[index]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      resolutionPolicy: 'NxDomainRedirect' // a name that is not in the zone is asked for outside: of what was brought along
      virtualNetwork: { id: network.id }
    }
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: diagnosticsName
  scope: network
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
