// What the function app may do with DPS. In the resource group of the instance, which may be one that was brought along.

import { roles } from 'role-definitions.bicep'

@description('Resource id of the identity: makes the name of the assignment.')
param identityId string

@description('Object id of the identity.')
param principalId string

@description('Name of the DPS instance.')
param dpsName string

resource dps 'Microsoft.Devices/provisioningServices@2022-12-12' existing = {
  name: dpsName
}

resource enrollments 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(dps.id, identityId, roles.dpsDataContributor)
  scope: dps
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.dpsDataContributor)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
