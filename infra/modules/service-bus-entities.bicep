// Queues, topics and subscriptions, as the code and the local stack know them, in a namespace that exists.

@description('Name of the namespace.')
param namespaceName string

@description('Log Analytics workspace that logs and metrics go to.')
param workspaceId string

@description('Name of the diagnostic setting.')
param diagnosticsName string

// A lock lasts a minute and is renewed for up to five (maxAutoLockRenewalDuration of host.json).
var queueSettings = {
  lockDuration: 'PT1M'
  maxDeliveryCount: 10
  requiresDuplicateDetection: true
  duplicateDetectionHistoryTimeWindow: 'PT10M'
  defaultMessageTimeToLive: 'P14D'
  deadLetteringOnMessageExpiration: true
  requiresSession: false
  enableBatchedOperations: true
  maxSizeInMegabytes: 5120
}

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource manufacturingEvents 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: 'manufacturing-events'
  properties: queueSettings
}

resource backgroundWork 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {
  parent: namespace
  name: 'background-work'
  properties: queueSettings
}

resource enrollmentOutcomes 'Microsoft.ServiceBus/namespaces/topics@2024-01-01' = {
  parent: namespace
  name: 'enrollment-outcomes'
  properties: {
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: 'PT10M'
    defaultMessageTimeToLive: 'P14D'
    enableBatchedOperations: true
    maxSizeInMegabytes: 5120
  }

  resource all 'subscriptions' = {
    name: 'all'
    properties: {
      lockDuration: 'PT1M'
      maxDeliveryCount: 10
      defaultMessageTimeToLive: 'P14D'
      deadLetteringOnMessageExpiration: true
      requiresSession: false
      enableBatchedOperations: true
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: diagnosticsName
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'OperationalLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
