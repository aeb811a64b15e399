// The shapes of the parameters that are more than a string or a number.

@export()
@description('Names of one\'s own choice. What is left out is named after its kind and a hash of subscription, environment and location.')
@sealed()
type resourceNames = {
  @description('Resource group.')
  @minLength(1)
  @maxLength(90)
  resourceGroup: string?

  @description('User-assigned identity of the function app.')
  @minLength(3)
  @maxLength(128)
  identity: string?

  @description('Function app; globally unique. No longer than 32, because the Functions host cuts its id there.')
  @minLength(2)
  @maxLength(32)
  functionApp: string?

  @description('Flex Consumption plan.')
  @minLength(1)
  @maxLength(40)
  plan: string?

  @description('Storage account; globally unique, lower-case letters and digits only.')
  @minLength(3)
  @maxLength(24)
  storageAccount: string?

  @description('Service Bus namespace; globally unique.')
  @minLength(6)
  @maxLength(50)
  serviceBus: string?

  @description('DPS instance; globally unique.')
  @minLength(3)
  @maxLength(64)
  dps: string?

  @description('Key vault; globally unique.')
  @minLength(3)
  @maxLength(24)
  keyVault: string?

  @description('Log Analytics workspace.')
  @minLength(4)
  @maxLength(63)
  workspace: string?

  @description('Application Insights component.')
  @minLength(1)
  @maxLength(260)
  applicationInsights: string?

  @description('Action group.')
  @minLength(1)
  @maxLength(260)
  actionGroup: string?

  @description('Virtual network; made with networkIsolation only.')
  @minLength(2)
  @maxLength(64)
  virtualNetwork: string?
}

@export()
@description('An IoT hub to make and link to DPS. Every deployment writes it anew: routes, endpoints and file upload that were set up by hand are gone then. A hub that is configured elsewhere belongs into `existingIotHubs`.')
@sealed()
type newIotHub = {
  @description('Name; globally unique. Left out: named by its place in the list.')
  @minLength(3)
  @maxLength(50)
  name: string?

  @description('Location; left out: that of the deployment.')
  @minLength(1)
  @maxLength(64)
  location: string?

  @description('Edition. B: no twins, so no initial twin. F1: one a subscription.')
  sku: ('F1' | 'B1' | 'B2' | 'B3' | 'S1' | 'S2' | 'S3')?

  @description('Units of that edition.')
  @minValue(1)
  @maxValue(200)
  units: int?

  @description('Weight under the allocation policy `Hashed`.')
  @minValue(1)
  @maxValue(1000)
  allocationWeight: int?
}

@export()
@description('An IoT hub that exists, to be linked to DPS.')
@sealed()
type existingIotHub = {
  @description('Resource id of the hub.')
  @minLength(90)
  @maxLength(400)
  resourceId: string

  @description('Location of the hub.')
  @minLength(1)
  @maxLength(64)
  location: string

  @description('Weight under the allocation policy `Hashed`.')
  @minValue(1)
  @maxValue(1000)
  allocationWeight: int?
}

@export()
@description('A sender of signed webhooks.')
@sealed()
type webhookSender = {
  @description('The sender as `senders.json` names it, in lower case: letters, digits and hyphens.')
  @minLength(1)
  @maxLength(60)
  sender: string

  @description('The secret of the key vault that holds this sender\'s secrets (`whsec_…`, separated by spaces). Left out: `webhook-secrets-SENDER`.')
  @minLength(1)
  @maxLength(127)
  secretName: string?
}

@export()
@description('An IoT hub to make, with nothing left open.')
type madeHub = {
  @description('Name.')
  name: string

  @description('Location.')
  location: string

  @description('Edition.')
  sku: string

  @description('Units of that edition.')
  units: int
}

@export()
@description('A hub that DPS assigns devices to.')
type linkedHub = {
  @description('Resource id.')
  id: string

  @description('Location.')
  location: string

  @description('Weight under the allocation policy `Hashed`.')
  allocationWeight: int
}

@export()
@description('Something that is reached through a private endpoint.')
type privateTarget = {
  @description('Name of the endpoint.')
  name: string

  @description('Resource id.')
  resourceId: string

  @description('Which part of the resource: its group id.')
  group: string

  @description('Private DNS zones that its addresses go to.')
  zones: string[]
}
