// With hubAccess: what the function app may do with a hub that DPS assigns devices to. In the hub's own resource group.

import { roles } from 'role-definitions.bicep'

@description('Resource id of the identity: makes the name of the assignment. Its object id would make what-if blind.')
param identityId string

@description('Object id of the identity.')
param principalId string

@description('Name of the hub.')
param hubName string

resource hub 'Microsoft.Devices/IotHubs@2023-06-30' existing = {
  name: hubName
}

resource identities 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hub.id, identityId, roles.iotHubRegistryContributor)
  scope: hub
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.iotHubRegistryContributor)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
