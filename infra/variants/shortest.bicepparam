// Every name as short as its type allows.
using '../main.bicep'

param environmentName = 's'
param location = 'uksouth'
param networkIsolation = true
param newIotHubs = [{ name: 'hub' }]
param webhookSenders = [{ sender: 'a', secretName: 's' }]
param names = {
  resourceGroup: 'g'
  identity: 'idn'
  functionApp: 'fn'
  plan: 'p'
  storageAccount: 'sta'
  serviceBus: 'busbus'
  dps: 'dps'
  keyVault: 'kva'
  workspace: 'logs'
  applicationInsights: 'i'
  actionGroup: 'a'
  virtualNetwork: 'vn'
}
