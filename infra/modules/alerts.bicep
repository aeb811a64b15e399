// Alerts that somebody should act on, and the action group that they go to. infra/README.md says what to do about each.

@description('Name of the action group.')
@minLength(1)
@maxLength(260)
param actionGroupName string

@description('Address that alerts are mailed to; empty: none.')
param alertEmail string

@description('Ending of the names of alerts: they are unique in a resource group.')
param nameEnding string

@description('Location of the rules that query logs.')
param location string

@description('Tags.')
param tags object

@description('Log Analytics workspace.')
param workspaceId string

@description('Resource id of Application Insights: others may write to the same workspace.')
param applicationInsightsId string

@description('Function app.')
param functionAppId string

@description('Service Bus namespace.')
param serviceBusId string

@description('Storage account.')
param storageId string

@description('DPS instance.')
param dpsId string

@description('Key vault.')
param keyVaultId string

@description('Minutes that a message may wait.')
@allowed([5, 15, 30, 60, 360])
param oldestMessageMinutes int

@description('Hours within which an audit must end.')
@minValue(1)
@maxValue(47)
param auditExpectedEveryHours int

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'enrollment'
    emailReceivers: empty(alertEmail)
      ? []
      : [
          {
            name: 'operators'
            emailAddress: alertEmail
            useCommonAlertSchema: true
          }
        ]
  }
}

// What Azure measures itself.
var metricAlerts = [
  {
    name: 'dead-letters'
    description: 'Messages lie in a dead-letter queue: a fault of ours, or outcomes that nobody fetched within a fortnight.'
    severity: 1
    scope: serviceBusId
    namespace: 'Microsoft.ServiceBus/namespaces'
    metric: 'DeadletteredMessages'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    dimensions: [{ name: 'EntityName', operator: 'Include', values: ['*'] }]
  }
  {
    name: 'service-bus-throttles'
    description: 'Service Bus refuses requests: more than its credits (1,000 a second on Standard).'
    severity: 2
    scope: serviceBusId
    namespace: 'Microsoft.ServiceBus/namespaces'
    metric: 'ThrottledRequests'
    aggregation: 'Total'
    operator: 'GreaterThan'
    threshold: 0
    window: 'PT15M'
    dimensions: []
  }
  {
    // 80 % of 5,120 MB.
    name: 'service-bus-fills'
    description: 'A queue or topic is nearly full; when it is, it takes no more. Does anybody read the subscription?'
    severity: 1
    scope: serviceBusId
    namespace: 'Microsoft.ServiceBus/namespaces'
    metric: 'Size'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: 4294967296
    window: 'PT1H'
    dimensions: [{ name: 'EntityName', operator: 'Include', values: ['*'] }]
  }
  {
    name: 'storage-unavailable'
    description: 'Table or Blob Storage fails: events wait, and the app may not start.'
    severity: 1
    scope: storageId
    namespace: 'Microsoft.Storage/storageAccounts'
    metric: 'Availability'
    aggregation: 'Average'
    operator: 'LessThan'
    threshold: 99
    window: 'PT15M'
    dimensions: []
  }
  {
    name: 'key-vault-unavailable'
    description: 'The key vault fails: an app that starts now cannot read its webhook secrets.'
    severity: 2
    scope: keyVaultId
    namespace: 'Microsoft.KeyVault/vaults'
    metric: 'Availability'
    aggregation: 'Average'
    operator: 'LessThan'
    threshold: 99
    window: 'PT15M'
    dimensions: []
  }
]

resource onMetrics 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for alert in metricAlerts: {
    name: '${alert.name}-${nameEnding}'
    location: 'global'
    tags: tags
    properties: {
      description: alert.description
      severity: alert.severity
      enabled: true
      autoMitigate: true
      scopes: [alert.scope]
      evaluationFrequency: alert.window == 'PT5M' ? 'PT1M' : 'PT5M'
      windowSize: alert.window
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'condition'
            metricNamespace: alert.namespace
            metricName: alert.metric
            timeAggregation: alert.aggregation
            operator: alert.operator
            threshold: alert.threshold
            dimensions: alert.dimensions
            skipMetricValidation: true // a namespace that is new has published nothing yet
          }
        ]
      }
      actions: [{ actionGroupId: actionGroup.id }]
    }
  }
]

// What is not watched above by a figure of its own, hubs for one: Azure says of each resource how it is.
resource onHealth 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'resource-unhealthy-${nameEnding}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Azure says that a resource of this resource group is unavailable or degraded.'
    enabled: true
    scopes: [resourceGroup().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'ResourceHealth' }
        {
          anyOf: [
            { field: 'properties.currentHealthStatus', equals: 'Unavailable' }
            { field: 'properties.currentHealthStatus', equals: 'Degraded' }
          ]
        }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: actionGroup.id }] }
  }
}

// What the app says itself, in the words of its log lines (a test holds them against the code), and what DPS's logs say.
// A table comes with its first row. Until then a query that names it would fail, but for `union isfuzzy=true`; the empty
// datatable says which columns there will be.
var traces = 'union isfuzzy=true (datatable(TimeGenerated: datetime, Message: string, _ResourceId: string)[]), AppTraces\n| where _ResourceId =~ "${applicationInsightsId}"'

var hostLogs = 'union isfuzzy=true (datatable(TimeGenerated: datetime, Message: string, _ResourceId: string)[]), AppTraces, FunctionAppLogs\n| where _ResourceId in~ ("${applicationInsightsId}", "${functionAppId}")'

var dpsLogs = 'union isfuzzy=true (datatable(TimeGenerated: datetime, Category: string, ResultType: string, ResultSignature: string, _ResourceId: string)[]), AzureDiagnostics\n| where _ResourceId =~ "${dpsId}"'

var logAlerts = [
  {
    name: 'start-failed'
    description: 'The app does not start: the line says which setting, or which file, is wrong. No function runs until it is mended.'
    severity: 1
    query: '${hostLogs}\n| where Message has "start-failed"'
    frequency: 'PT5M'
    window: 'PT15M'
    range: 'PT30M'
    threshold: 0
  }
  {
    name: 'events-rejected'
    description: 'Events were rejected: GET /api/rejected says which and why, POST /api/rejected/replay sends them again.'
    severity: 2
    query: '${traces}\n| where Message has "event-rejected"'
    frequency: 'PT5M'
    window: 'PT5M'
    range: 'PT30M'
    threshold: 0
  }
  {
    // Service Bus does not measure ages, so the app looks every five minutes. No line at all is as bad as an old message.
    // Not the queue background-work: while an audit runs there is always a slice in it. For that there is audit-missed.
    name: 'oldest-message'
    description: 'An event has waited for more than ${oldestMessageMinutes} minutes, or so many are to be tried again later that its age is not known, or the app does not run, which looks every five.'
    severity: 2
    query: '${traces}\n| where Message has "oldest-message"\n| extend AgeInSeconds = toint(extract("ageInSeconds.:([0-9]+)", 1, Message))\n| summarize Lines = count(), Unknown = countif(isnull(AgeInSeconds)), Oldest = max(AgeInSeconds)\n| where Lines == 0 or Unknown > 0 or Oldest > ${oldestMessageMinutes * 60}'
    frequency: 'PT5M'
    window: 'PT15M'
    range: 'PT20M'
    threshold: 0
  }
  {
    name: 'dps-refuses'
    description: 'DPS does not answer, or refuses us: its role assignment, its state, its network. Events wait.'
    severity: 1
    query: '${traces}\n| where Message has "dps-unavailable"'
    frequency: 'PT5M'
    window: 'PT5M'
    range: 'PT15M'
    threshold: 0
  }
  {
    name: 'requests-refused'
    description: 'A caller sends what is refused, again and again: a MES that fails all night, say. Nothing of it was kept.'
    severity: 2
    query: '${traces}\n| where Message has "request-refused"'
    frequency: 'PT15M'
    window: 'PT1H'
    range: 'PT2H'
    threshold: 10
  }
  {
    name: 'callers-wait'
    description: 'Callers are told to come again later: Table Storage, Service Bus or DPS cannot be used.'
    severity: 2
    query: '${traces}\n| where Message has "not-now"'
    frequency: 'PT5M'
    window: 'PT15M'
    range: 'PT30M'
    threshold: 10
  }
  {
    name: 'hub-refuses'
    description: 'An IoT hub does not answer, or refuses us, or is gone: what is held may still be connected there.'
    severity: 1
    query: '${traces}\n| where Message has_any ("hub-unavailable", "hub-access-unknown")'
    frequency: 'PT5M'
    window: 'PT5M'
    range: 'PT15M'
    threshold: 0
  }
  {
    name: 'dps-throttles'
    description: 'Events or audits wait for DPS again and again: its quota does not suffice, or somebody else uses it up.'
    severity: 2
    query: 'union isfuzzy=true (\n${traces}\n| where Message has_any ("event-waits", "audit-waits")\n), (\n${dpsLogs}\n| where Category == "ServiceOperations" and ResultSignature == "429"\n)'
    frequency: 'PT15M'
    window: 'PT15M'
    range: 'PT30M'
    threshold: 20
  }
  {
    name: 'devices-rejected'
    description: 'Devices ask DPS for registration and fail: a wrong key or certificate, or no enrollment.'
    severity: 3
    query: '${dpsLogs}\n| where Category == "DeviceOperations" and ResultType != "Success"'
    frequency: 'PT15M'
    window: 'PT1H'
    range: 'PT2H'
    threshold: 10
  }
  {
    name: 'audit-critical'
    description: 'An audit ended with critical findings: GET /api/audit shows them.'
    severity: 1
    query: '${traces}\n| where Message has "audit-critical"'
    frequency: 'PT15M'
    window: 'PT15M'
    range: 'PT1H'
    threshold: 0
  }
  {
    name: 'audit-missed'
    description: 'No audit ended within ${auditExpectedEveryHours} hours: GET /api/audit/runs shows what became of the last.'
    severity: 2
    query: '${traces}\n| where TimeGenerated > ago(${auditExpectedEveryHours}h)\n| where Message has_any ("audit-completed", "audit-critical")\n| summarize Audits = count()\n| where Audits == 0'
    frequency: 'PT1H'
    window: 'PT1H'
    range: 'P2D'
    threshold: 0
  }
  {
    name: 'credentials-limited'
    description: 'Keys of devices were asked for more often than a line would: somebody may be collecting them.'
    severity: 1
    query: '${traces}\n| where Message has "credentials-limited"'
    frequency: 'PT5M'
    window: 'PT5M'
    range: 'PT15M'
    threshold: 0
  }
  {
    name: 'functions-fail'
    description: 'Functions fail: answers of the kind 5xx, or messages that are thrown back to their queue.'
    severity: 1
    query: '${traces}\n| where Message has "function-failed"'
    frequency: 'PT5M'
    window: 'PT15M'
    range: 'PT30M'
    threshold: 5
  }
]

resource onLogs 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in logAlerts: {
    name: '${alert.name}-${nameEnding}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: alert.name
      description: alert.description
      severity: alert.severity
      enabled: true
      autoMitigate: true
      scopes: [workspaceId]
      targetResourceTypes: ['Microsoft.OperationalInsights/workspaces']
      evaluationFrequency: alert.frequency
      windowSize: alert.window
      overrideQueryTimeRange: alert.range // longer than the window, because logs come late
      skipQueryValidation: true // the tables of a new workspace come with their first rows
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: alert.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: { actionGroups: [actionGroup.id] }
    }
  }
]
