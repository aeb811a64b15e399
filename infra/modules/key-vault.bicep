// Secrets of webhook senders. The template makes the vault and refers to secrets; their values are put in by a person.

@description('Name of the vault.')
@minLength(3)
@maxLength(24)
param name string

@description('Location.')
param location string

@description('Tags.')
param tags object

@description('Whether nobody can purge it before its 90 days are over. Cannot be taken back.')
param purgeProtection bool

@description('Whether only private endpoints reach it.')
param isolated bool

@description('Log Analytics workspace that logs and metrics go to.')
param workspaceId string

@description('Name of the diagnostic setting.')
param diagnosticsName string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    ...(purgeProtection ? { enablePurgeProtection: true } : {}) // Azure refuses false
    publicNetworkAccess: isolated ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isolated ? 'Deny' : 'Allow'
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: diagnosticsName
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AuditEvent', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
