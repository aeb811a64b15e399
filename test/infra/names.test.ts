import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { deployments, describeBicep, infra, strings } from '../support/bicep.ts';

/** What Azure allows as the last part of a name, by type. */
const rules: Record<string, RegExp> = {
  'Microsoft.Resources/resourceGroups': /^[\w.()-]{0,89}[\w()-]$/,
  'Microsoft.ManagedIdentity/userAssignedIdentities': /^[a-zA-Z0-9][\w-]{2,127}$/,
  'Microsoft.Web/serverfarms': /^[a-zA-Z0-9-]{1,40}$/,
  // Shorter than Azure's 60: the Functions host takes 32 characters as its id.
  'Microsoft.Web/sites': /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])$/,
  'Microsoft.Web/sites/config': /^appsettings$/,
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies': /^(?:ftp|scm)$/,
  'Microsoft.Storage/storageAccounts': /^[a-z0-9]{3,24}$/,
  'Microsoft.Storage/storageAccounts/blobServices': /^default$/,
  'Microsoft.Storage/storageAccounts/blobServices/containers': /^[a-z0-9](?:-?[a-z0-9]){2,62}$/,
  'Microsoft.Storage/storageAccounts/tableServices': /^default$/,
  'Microsoft.Storage/storageAccounts/tableServices/tables': /^[a-zA-Z][a-zA-Z0-9]{2,62}$/,
  'Microsoft.ServiceBus/namespaces': /^[a-zA-Z](?:[a-zA-Z0-9-]{4,48})[a-zA-Z0-9]$/,
  'Microsoft.ServiceBus/namespaces/queues': /^[a-zA-Z0-9](?:[\w./-]{0,258}[a-zA-Z0-9])?$/,
  'Microsoft.ServiceBus/namespaces/topics': /^[a-zA-Z0-9](?:[\w./-]{0,258}[a-zA-Z0-9])?$/,
  'Microsoft.ServiceBus/namespaces/topics/subscriptions': /^[a-zA-Z0-9](?:[\w.-]{0,48}[a-zA-Z0-9])?$/,
  'Microsoft.Devices/provisioningServices': /^[a-zA-Z0-9-]{2,63}[a-zA-Z0-9]$/,
  'Microsoft.Devices/IotHubs': /^[a-zA-Z0-9-]{2,49}[a-zA-Z0-9]$/,
  'Microsoft.KeyVault/vaults': /^[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$/,
  'Microsoft.OperationalInsights/workspaces': /^[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]$/,
  'Microsoft.Insights/components': /^[^%&\\?/]{0,259}[^%&\\?/. ]$/,
  'Microsoft.Insights/actionGroups': /^[^:<>+/&%\\?|]{0,259}[^:<>+/&%\\?|. ]$/,
  'Microsoft.Insights/metricAlerts': /^[^:*#<>+/&%\\?{}]{0,259}[^:*#<>+/&%\\?{}. ]$/,
  'Microsoft.Insights/activityLogAlerts': /^[^:*#<>+/&%\\?{}]{0,259}[^:*#<>+/&%\\?{}. ]$/,
  'Microsoft.Insights/scheduledQueryRules': /^[^:*#<>+/&%\\?{}]{0,259}[^:*#<>+/&%\\?{}. ]$/,
  'Microsoft.Insights/diagnosticSettings': /^[^*<>%&:\\?+/]{0,259}[^*<>%&:\\?+/. ]$/,
  'Microsoft.Insights/workbooks': /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  'Microsoft.Insights/privateLinkScopes': /^[\w.()-]{0,254}[\w()-]$/,
  'Microsoft.Insights/privateLinkScopes/scopedResources': /^[\w.()-]{0,254}[\w()-]$/,
  'Microsoft.Authorization/roleAssignments': /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  'Microsoft.Network/virtualNetworks': /^[a-zA-Z0-9][\w.-]{0,62}\w$/,
  'Microsoft.Network/privateEndpoints': /^[a-zA-Z0-9][\w.-]{0,62}\w$/,
  'Microsoft.Network/privateEndpoints/privateDnsZoneGroups': /^[a-zA-Z0-9][\w.-]{0,78}\w$/,
  'Microsoft.Network/privateDnsZones': /^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,33}$/,
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': /^[a-zA-Z0-9](?:[\w.-]{0,78}\w)?$/,
};

describeBicep('Names', () => {
  const evaluated = deployments(
    'plain',
    'isolated',
    'brought-along',
    'hubs',
    'shortest',
    'longest',
    'long-environment',
  );

  it('keep to the length and the characters of their type, from the shortest parameters to the longest', () => {
    for (const { variant, resources } of Object.values(evaluated)) {
      for (const { type, name } of resources) {
        const last = name.split('/').at(-1) ?? '';
        expect(last, `${variant}: ${type} ${name}`).toMatch(
          rules[type] ?? /^there is a rule for every type$/,
        );
      }
    }
  });

  it('are as long, and as short, as they may be in the variants that try just that', () => {
    const lengths = (variant: 'shortest' | 'longest') =>
      Object.fromEntries(
        evaluated[variant].resources.map(({ type, name }) => [type.split('/').at(-1), name.length]),
      );
    expect(lengths('shortest')).toMatchObject({
      resourceGroups: 1,
      sites: 2,
      storageAccounts: 3,
      IotHubs: 3,
      provisioningServices: 3,
      vaults: 3,
    });
    expect(lengths('longest')).toMatchObject({
      resourceGroups: 90,
      sites: 32,
      storageAccounts: 24,
      IotHubs: 50,
      provisioningServices: 64,
      vaults: 24,
    });
  });

  it('are those of no other resource', () => {
    for (const { variant, resources } of Object.values(evaluated)) {
      const ids = resources.map(({ id }) => id.toLowerCase());
      expect(new Set(ids).size, variant).toBe(ids.length);
    }
  });

  it('differ from environment to environment', () => {
    const sites = Object.values(evaluated).map(({ resources }) =>
      resources.find(({ type }) => type === 'Microsoft.Web/sites'),
    );
    expect(new Set(sites.map((site) => site?.name)).size).toBe(Object.keys(evaluated).length);
  });

  it('and all else stay the same from deployment to deployment: nothing is random, nothing is the time', () => {
    const files = globSync('**/*.{bicep,bicepparam}', { cwd: infra });
    expect(files.length).toBeGreaterThan(20);
    for (const file of files) {
      expect(readFileSync(path.join(infra, file), 'utf8'), file).not.toMatch(
        /\b(?:utcNow|newGuid|deployer)\s*\(/,
      );
    }
    for (const { resources } of Object.values(evaluated)) {
      for (const [at, text] of strings(resources)) {
        expect(text, at).not.toMatch(/\b(?:utcNow|newGuid)\s*\(/);
      }
    }
  });

  it('are ids of resources that exist where one resource names another', () => {
    for (const { variant, resources } of Object.values(evaluated)) {
      const ids = new Set(resources.map(({ id }) => id));
      const own = resources[0]?.id ?? '';
      for (const [at, text] of strings(resources.map(({ properties }) => properties))) {
        if (text.startsWith(`${own}/`) && !/\/subnets\//.test(text)) {
          expect(ids, `${variant} ${at}`).toContain(text);
        }
      }
    }
  });
});
