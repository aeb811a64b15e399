// Network isolation, with DPS, Service Bus and workspace that exist already.
using '../main.bicep'

param environmentName = 'isolated-brought'
param location = 'northeurope'
param networkIsolation = true
param existingDpsId = '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg-iot/providers/Microsoft.Devices/provisioningServices/dps-contoso'
param existingServiceBusId = '/subscriptions/00000000-0000-4000-8000-000000000003/resourceGroups/rg-messaging/providers/Microsoft.ServiceBus/namespaces/sb-contoso'
param existingWorkspaceId = '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces/log-contoso'
