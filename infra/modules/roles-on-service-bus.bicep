// What the function app may do with Service Bus: receive from the queues that it reads, send to what it writes.
// In the resource group of the namespace, which may be one that was brought along.

import { roles } from 'role-definitions.bicep'

@description('Resource id of the identity: makes the names of the assignments. Its object id would make what-if blind.')
param identityId string

@description('Object id of the identity.')
param principalId string

@description('Object id of a person who may send events and read outcomes; empty: nobody.')
param personId string

@description('Name of the Service Bus namespace.')
param namespaceName string

@description('Queues that the app both reads and writes.')
param queueNames string[]

@description('Topics that the app writes.')
param topicNames string[]

@description('Whether the app may manage its queues, too: the platform then sees their lengths and scales to target.')
param mayManageQueues bool

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource queues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for name in queueNames: {
    parent: namespace
    name: name
  }
]

resource topics 'Microsoft.ServiceBus/namespaces/topics@2024-01-01' existing = [
  for name in topicNames: {
    parent: namespace
    name: name
  }
]

resource receive 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in queueNames: {
    name: guid(queues[index].id, identityId, roles.serviceBusDataReceiver)
    scope: queues[index]
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

// The app sends to the queues that it reads: events from HTTP, events for later, the next slice of long work.
resource sendToQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in queueNames: {
    name: guid(queues[index].id, identityId, roles.serviceBusDataSender)
    scope: queues[index]
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataSender)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource sendToTopics 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in topicNames: {
    name: guid(topics[index].id, identityId, roles.serviceBusDataSender)
    scope: topics[index]
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataSender)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource manageQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in queueNames: if (mayManageQueues) {
    name: guid(queues[index].id, identityId, roles.serviceBusDataOwner)
    scope: queues[index]
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataOwner)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource personSends 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(personId)) {
  name: guid(queues[0].id, personId, roles.serviceBusDataSender)
  scope: queues[0]
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataSender)
    principalId: personId
    principalType: 'User'
  }
}

resource personReads 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in topicNames: if (!empty(personId)) {
    name: guid(topics[index].id, personId, roles.serviceBusDataReceiver)
    scope: topics[index]
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
      principalId: personId
      principalType: 'User'
    }
  }
]
