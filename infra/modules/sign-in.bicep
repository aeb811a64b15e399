// App Service authentication: people sign in with Microsoft Entra ID to see the pages. Callers with function keys are not
// affected, and there is no secret: an identity that is used for nothing else speaks for the app registration.

@description('Name of the function app.')
@minLength(2)
@maxLength(32)
param functionAppName string

@description('Client id of the app registration.')
@minLength(36)
@maxLength(36)
param clientId string

@description('Tenant whose people sign in.')
@minLength(36)
@maxLength(36)
param tenantId string

// The setting of this name holds the client id of the identity that stands in for a secret.
var identitySetting = 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName

  resource authentication 'config' = {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: true }
      // The app itself sends people to sign in, and lets callers with keys pass.
      globalValidation: { requireAuthentication: false, unauthenticatedClientAction: 'AllowAnonymous' }
      httpSettings: { requireHttps: true }
      identityProviders: {
        azureActiveDirectory: {
          enabled: true
          registration: {
            openIdIssuer: '${environment().authentication.loginEndpoint}${tenantId}/v2.0'
            clientId: clientId
            clientSecretSettingName: identitySetting
          }
          validation: {
            allowedAudiences: ['api://${clientId}']
            defaultAuthorizationPolicy: { allowedApplications: [clientId] }
          }
        }
      }
      // Roles come with the sign-in; nobody's tokens are kept.
      login: { tokenStore: { enabled: false } }
    }
  }
}
