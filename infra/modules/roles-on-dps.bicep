// What the function app may do with DPS. In the resource group of the instance, which may be one that was brought along.

import { roles } from 'role-definitions.bicep'

@description('Resource id of the identity: makes the name of the assignment. Its object id would make what-if blind.')
param identityId string

@description('Object id of the identity.')
param principalId string

@description('Object id of a person who may look at enrollments; empty: nobody.')
param personId string

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

resource personEnrollments 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(personId)) {
  name: guid(dps.id, personId, roles.dpsDataReader)
  scope: dps
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.dpsDataReader)
    principalId: personId
    principalType: 'User'
  }
}
