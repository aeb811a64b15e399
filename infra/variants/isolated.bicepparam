// Network isolation, and every other switch on.
using '../main.bicep'

param environmentName = 'isolated'
param location = 'westeurope'
param networkIsolation = true
param networkAddressPrefix = '10.99.0.0/20'
param dataRolesFor = '00000000-0000-4000-8000-000000000004'
param purgeProtection = true
param newIotHubs = [{ name: 'iot-isolated-1' }]
param nodeVersion = '22'
param alertEmail = 'operators@example.com'
param oldestMessageMinutes = 5
param auditQuotaPercentage = 5
param webhookSenders = [
  { sender: 'brno-mes' }
  { sender: 'erp', secretName: 'erp-signing' }
]
