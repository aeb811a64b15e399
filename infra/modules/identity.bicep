// The one identity of the function app. Two identities in one app would isolate nothing from each other.

@description('Name of the identity.')
@minLength(3)
@maxLength(128)
param name string

@description('Location.')
param location string

@description('Tags.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Object id of the identity, which roles are given to.')
output principalId string = identity.properties.principalId

@description('Client id of the identity, which the app signs in with.')
output clientId string = identity.properties.clientId
