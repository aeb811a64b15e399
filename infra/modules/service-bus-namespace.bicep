// A Service Bus namespace of our own. Premium where the network is isolated: Standard knows no private endpoints.

@description('Name of the namespace.')
@minLength(6)
@maxLength(50)
param name string

@description('Location.')
param location string

@description('Tags.')
param tags object

@description('Whether only private endpoints reach it.')
param isolated bool

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: isolated ? { name: 'Premium', tier: 'Premium', capacity: 1 } : { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: isolated ? 'Disabled' : 'Enabled'
    ...(isolated ? { premiumMessagingPartitions: 1 } : {})
  }
}
