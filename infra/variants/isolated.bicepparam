// Network isolation, and every other switch on.
using '../main.bicep'

param environmentName = 'isolated'
param location = 'westeurope'
param networkIsolation = true
param networkAddressPrefix = '10.99.0.0/20'
param targetBasedScaling = true
param newIotHubs = [{ name: 'iot-isolated-1' }]
param nodeVersion = '24'
param alertEmail = 'operators@example.com'
param oldestMessageMinutes = 5
param auditQuotaPercentage = 5
param webhookSenders = [
  { sender: 'brno-mes' }
  { sender: 'erp', secretName: 'erp-signing' }
]
