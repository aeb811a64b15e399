import { expect, it } from 'vitest';
import { deployments, describeBicep, ofType, onlyOne } from '../support/bicep.ts';

const clientId = '00000000-0000-4000-8000-00000000c11e';

describeBicep('sign-in', () => {
  const evaluated = deployments('plain', 'sign-in');
  const sitesConfig = (variant: 'plain' | 'sign-in', name: string) =>
    ofType(evaluated[variant], 'Microsoft.Web/sites/config').find((each) => each.name.endsWith(`/${name}`))
      ?.properties;

  it('is by App Service authentication with Entra ID, and lets callers with keys pass', () => {
    const settings = sitesConfig('sign-in', 'authsettingsV2');
    expect(settings).toMatchObject({
      platform: { enabled: true },
      globalValidation: { requireAuthentication: false, unauthenticatedClientAction: 'AllowAnonymous' },
      httpSettings: { requireHttps: true },
      login: { tokenStore: { enabled: false } },
    });
    const { azureActiveDirectory } = settings.identityProviders;
    expect(azureActiveDirectory.registration.clientId).toBe(clientId);
    expect(azureActiveDirectory.registration.openIdIssuer).toMatch(
      /loginEndpoint.*00000000-0000-4000-8000-000000000002/,
    );
  });

  it('needs no secret: an identity that is used for nothing else speaks for the app registration', () => {
    const settings = sitesConfig('sign-in', 'appsettings');
    const { registration } = sitesConfig('sign-in', 'authsettingsV2').identityProviders.azureActiveDirectory;
    expect(Object.keys(settings)).toContain(registration.clientSecretSettingName);
    expect(settings).toMatchObject({ SIGN_IN: 'entra' });
    const identities = ofType(evaluated['sign-in'], 'Microsoft.ManagedIdentity/userAssignedIdentities');
    expect(identities).toHaveLength(2);
    const app = onlyOne(evaluated['sign-in'], 'Microsoft.Web/sites') as unknown as {
      identity: { userAssignedIdentities: object };
    };
    expect(Object.keys(app.identity.userAssignedIdentities)).toHaveLength(2);
    expect(
      JSON.stringify(ofType(evaluated['sign-in'], 'Microsoft.Authorization/roleAssignments')),
    ).not.toContain('id-signin');
  });

  it('is off where nobody asked for it', () => {
    expect(sitesConfig('plain', 'authsettingsV2')).toBeUndefined();
    expect(sitesConfig('plain', 'appsettings')).not.toHaveProperty('SIGN_IN');
    expect(ofType(evaluated.plain, 'Microsoft.ManagedIdentity/userAssignedIdentities')).toHaveLength(1);
  });
});
