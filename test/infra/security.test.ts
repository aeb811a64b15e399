import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import {
  type Deployment,
  deployments,
  describeBicep,
  infra,
  ofType,
  onlyOne,
  type Resource,
  strings,
} from '../support/bicep.ts';

const looksLikeSecret =
  /list[a-z]*\(|accountkey|sharedaccesskey|instrumentationkey|primarykey|secondarykey|password|sig=|whsec_/i;

/** Of each resource that has such a switch: how it is set against the public network. */
function publicAccess(deployment: Deployment): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { type, properties } of deployment.resources) {
    for (const [key, value] of Object.entries(properties ?? {})) {
      if (/^publicNetworkAccess/.test(key)) {
        found[`${type} ${key}`] = String(value);
      }
    }
  }
  return found;
}

describeBicep('Of secrets', () => {
  const evaluated = deployments('plain', 'isolated', 'brought-along', 'hubs');

  it('none is in any property, but the connection strings with which DPS is linked to its hubs', () => {
    for (const deployment of Object.values(evaluated)) {
      const suspicious = deployment.resources.flatMap((resource) =>
        strings(resource)
          .filter(([, text]) => looksLikeSecret.test(text))
          .map(([at]) => `${resource.type} ${at}`),
      );
      const hubs = ofType(deployment, 'Microsoft.Devices/provisioningServices').flatMap(
        ({ properties }) => properties.iotHubs,
      );
      expect(suspicious).toEqual(
        hubs.map(
          (_, index) => `Microsoft.Devices/provisioningServices properties.iotHubs.${index}.connectionString`,
        ),
      );
    }
  });

  it('none is an output of the deployment or of a module', () => {
    for (const { outputs } of Object.values(evaluated)) {
      for (const [, text] of strings(outputs)) {
        expect(text).not.toMatch(looksLikeSecret);
      }
    }
    const modules = globSync('**/*.bicep', { cwd: infra }).map((file) =>
      readFileSync(path.join(infra, file), 'utf8'),
    );
    const outputs = modules.flatMap((text) => text.match(/^output .*$/gm) ?? []);
    expect(outputs.length).toBeGreaterThan(5);
    for (const output of outputs) {
      expect(output).not.toMatch(looksLikeSecret);
    }
  });

  it('those of webhook senders are references to the key vault, read by the identity', () => {
    const { isolated } = evaluated;
    const vault = onlyOne(isolated, 'Microsoft.KeyVault/vaults').name;
    const settings = onlyOne(isolated, 'Microsoft.Web/sites/config').properties;
    expect(settings).toMatchObject({
      WEBHOOK_SECRETS_BRNO_MES: `@Microsoft.KeyVault(SecretUri=https://${vault}.vault.azure.net/secrets/webhook-secrets-brno-mes)`,
      WEBHOOK_SECRETS_ERP: `@Microsoft.KeyVault(SecretUri=https://${vault}.vault.azure.net/secrets/erp-signing)`,
    });
    const identity = onlyOne(isolated, 'Microsoft.ManagedIdentity/userAssignedIdentities');
    expect(onlyOne(isolated, 'Microsoft.Web/sites').properties.keyVaultReferenceIdentity).toBe(identity.id);
    expect(ofType(isolated, 'Microsoft.KeyVault/vaults/secrets')).toEqual([]);
  });

  it('the one connection string among the settings is an address: without Entra ID nothing is taken there', () => {
    for (const deployment of Object.values(evaluated)) {
      const settings = onlyOne(deployment, 'Microsoft.Web/sites/config').properties;
      const names = Object.keys(settings).filter((name) => /connection_?string/i.test(name));
      expect(names).toEqual(['APPLICATIONINSIGHTS_CONNECTION_STRING']);
      expect(settings.APPLICATIONINSIGHTS_AUTHENTICATION_STRING).toContain(';Authorization=AAD');
      expect(onlyOne(deployment, 'Microsoft.Insights/components').properties.DisableLocalAuth).toBe(true);
    }
  });

  it('keys and local authentication are off wherever they can be', () => {
    for (const deployment of [evaluated.plain, evaluated.isolated]) {
      const storage = onlyOne(deployment, 'Microsoft.Storage/storageAccounts').properties;
      expect(storage).toMatchObject({ allowSharedKeyAccess: false, allowBlobPublicAccess: false });
      for (const container of ofType(
        deployment,
        'Microsoft.Storage/storageAccounts/blobServices/containers',
      )) {
        expect(container.properties.publicAccess).toBe('None');
      }
      expect(onlyOne(deployment, 'Microsoft.ServiceBus/namespaces').properties.disableLocalAuth).toBe(true);
      const workspace = onlyOne(deployment, 'Microsoft.OperationalInsights/workspaces').properties;
      expect(workspace.features.disableLocalAuth).toBe(true);
      expect(onlyOne(deployment, 'Microsoft.KeyVault/vaults').properties).toMatchObject({
        enableRbacAuthorization: true,
      });
      const publishing = onlyOne(deployment, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies');
      expect([publishing.name.split('/').at(-1), publishing.properties.allow]).toEqual(['scm', false]);
    }
  });

  it('TLS is 1.2 or newer, and HTTP is not served', () => {
    for (const deployment of [evaluated.plain, evaluated.isolated, evaluated.hubs]) {
      expect(onlyOne(deployment, 'Microsoft.Storage/storageAccounts').properties).toMatchObject({
        minimumTlsVersion: 'TLS1_2',
        supportsHttpsTrafficOnly: true,
      });
      expect(onlyOne(deployment, 'Microsoft.ServiceBus/namespaces').properties.minimumTlsVersion).toBe('1.2');
      for (const hub of ofType(deployment, 'Microsoft.Devices/IotHubs')) {
        expect(hub.properties.minTlsVersion).toBe('1.2');
      }
      const { httpsOnly, siteConfig } = onlyOne(deployment, 'Microsoft.Web/sites').properties;
      expect(httpsOnly).toBe(true);
      expect(siteConfig).toMatchObject({ minTlsVersion: '1.2', scmMinTlsVersion: '1.2' });
    }
  });
});

describeBicep('Network isolation', () => {
  const evaluated = deployments('plain', 'isolated', 'long-environment');
  const switches = (expected: string) => ({
    'Microsoft.OperationalInsights/workspaces publicNetworkAccessForIngestion': expected,
    'Microsoft.OperationalInsights/workspaces publicNetworkAccessForQuery': 'Enabled', // people read logs in the portal
    'Microsoft.Insights/components publicNetworkAccessForIngestion': expected,
    'Microsoft.Insights/components publicNetworkAccessForQuery': 'Enabled',
    'Microsoft.Storage/storageAccounts publicNetworkAccess': expected,
    'Microsoft.KeyVault/vaults publicNetworkAccess': expected,
    'Microsoft.ServiceBus/namespaces publicNetworkAccess': expected,
    'Microsoft.Devices/IotHubs publicNetworkAccess': expected,
    'Microsoft.Devices/provisioningServices publicNetworkAccess': expected,
    'Microsoft.Web/sites publicNetworkAccess': expected,
  });

  it('is off by default: no network, no private endpoint, Service Bus Standard', () => {
    expect(publicAccess(evaluated.plain)).toEqual(switches('Enabled'));
    expect(evaluated.plain.resources.filter(({ type }) => type.startsWith('Microsoft.Network/'))).toEqual([]);
    expect(onlyOne(evaluated.plain, 'Microsoft.ServiceBus/namespaces').sku?.name).toBe('Standard');
  });

  it('closes everything to the public network, with Service Bus Premium', () => {
    expect(publicAccess(evaluated.isolated)).toEqual(switches('Disabled'));
    expect(onlyOne(evaluated.isolated, 'Microsoft.ServiceBus/namespaces').sku?.name).toBe('Premium');
    for (const type of ['Microsoft.Storage/storageAccounts', 'Microsoft.KeyVault/vaults']) {
      expect(onlyOne(evaluated.isolated, type).properties.networkAcls.defaultAction).toBe('Deny');
    }
  });

  it('gives each of them a private endpoint, whose names are resolved in zones that the network knows', () => {
    const { isolated } = evaluated;
    const zones = new Set(ofType(isolated, 'Microsoft.Network/privateDnsZones').map(({ id }) => id));
    const linked = ofType(isolated, 'Microsoft.Network/privateDnsZones/virtualNetworkLinks');
    expect(linked.map(({ name }) => name.split('/')[0]).sort()).toEqual(
      [...zones].map((id) => path.posix.basename(id)).sort(),
    );
    const network = onlyOne(isolated, 'Microsoft.Network/virtualNetworks');
    for (const { properties } of linked) {
      expect(properties.virtualNetwork.id).toBe(network.id);
    }

    const groups = ofType(isolated, 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups');
    const reached = ofType(isolated, 'Microsoft.Network/privateEndpoints').map(({ name, properties }) => {
      const [connection] = properties.privateLinkServiceConnections;
      const group = groups.find((candidate) => candidate.name === `${name}/default`) as Resource;
      const configs: { properties: { privateDnsZoneId: string } }[] = group.properties.privateDnsZoneConfigs;
      for (const config of configs) {
        expect(zones).toContain(config.properties.privateDnsZoneId);
      }
      expect(properties.subnet.id).toBe(`${network.id}/subnets/private-endpoints`);
      const target = isolated.resources.find(({ id }) => id === connection.properties.privateLinkServiceId);
      const names = configs.map(({ properties }) => path.posix.basename(properties.privateDnsZoneId));
      return `${target?.type} ${connection.properties.groupIds}: ${names.sort().join(' ')}`;
    });
    expect(reached.sort()).toEqual([
      'Microsoft.Devices/IotHubs iotHub: privatelink.azure-devices.net privatelink.servicebus.windows.net',
      'Microsoft.Devices/provisioningServices iotDps: privatelink.azure-devices-provisioning.net',
      'Microsoft.Insights/privateLinkScopes azuremonitor: privatelink.agentsvc.azure-automation.net privatelink.blob.core.windows.net privatelink.monitor.azure.com privatelink.ods.opinsights.azure.com privatelink.oms.opinsights.azure.com',
      'Microsoft.KeyVault/vaults vault: privatelink.vaultcore.azure.net',
      'Microsoft.ServiceBus/namespaces namespace: privatelink.servicebus.windows.net',
      'Microsoft.Storage/storageAccounts blob: privatelink.blob.core.windows.net',
      'Microsoft.Storage/storageAccounts table: privatelink.table.core.windows.net',
      'Microsoft.Web/sites sites: privatelink.azurewebsites.net',
    ]);
  });

  it("lets the app's connections out through a subnet of its own, inside the addresses that were given", () => {
    const network = onlyOne(evaluated.isolated, 'Microsoft.Network/virtualNetworks').properties;
    expect(network.addressSpace.addressPrefixes).toEqual(['10.99.0.0/20']);
    expect(network.subnets.map((subnet: Resource) => [subnet.name, subnet.properties.addressPrefix])).toEqual(
      [
        ['app', '10.99.0.0/24'],
        ['private-endpoints', '10.99.1.0/24'],
      ],
    );
    const app = onlyOne(evaluated.isolated, 'Microsoft.Web/sites').properties;
    expect(app.virtualNetworkSubnetId).toMatch(/\/subnets\/app$/);
  });

  it('takes telemetry through the network alone', () => {
    const { isolated } = evaluated;
    const scope = onlyOne(isolated, 'Microsoft.Insights/privateLinkScopes');
    expect(scope.properties.accessModeSettings.ingestionAccessMode).toBe('PrivateOnly');
    const scoped = ofType(isolated, 'Microsoft.Insights/privateLinkScopes/scopedResources');
    expect(scoped.map(({ properties }) => properties.linkedResourceId).sort()).toEqual(
      ['Microsoft.Insights/components', 'Microsoft.OperationalInsights/workspaces'].map(
        (type) => onlyOne(isolated, type).id,
      ),
    );
  });
});
