import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { queues, topics } from '../../src/events/messaging-entities.ts';
import { webhookSecretsSetting } from '../../src/events/webhook-secrets.ts';
import { maxRequestBytes } from '../../src/http/cloud-events-binding.ts';
import { readSettings } from '../../src/settings.ts';
import { tableNames } from '../../src/storage/table-names.ts';
import {
  type Deployment,
  deployments,
  describeBicep,
  infra,
  ofType,
  onlyOne,
  subscription,
} from '../support/bicep.ts';

/** `PT1M`, `P14D` and the like. */
function inMs(duration: string): number {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] =
    /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(duration) ?? [];
  return (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000;
}

// biome-ignore lint/suspicious/noExplicitAny: what the compiler evaluated
function delivery(properties: any) {
  return {
    lockDurationInMs: inMs(properties.lockDuration),
    maxDeliveryCount: properties.maxDeliveryCount,
    defaultTimeToLiveInMs: inMs(properties.defaultMessageTimeToLive),
    deadLetteringOnMessageExpiration: properties.deadLetteringOnMessageExpiration,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: what the compiler evaluated
function duplicateDetection(properties: any): number {
  return properties.requiresDuplicateDetection ? inMs(properties.duplicateDetectionHistoryTimeWindow) : 0;
}

const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);
const lastPart = (name: string) => name.split('/').at(-1) ?? '';

const idScope = '0ne00AZURE01';

/** The app's settings as Azure would hand them to it: what Azure alone knows is some text. */
function settingsOf(deployment: Deployment): Record<string, string> {
  const { properties } = onlyOne(deployment, 'Microsoft.Web/sites/config');
  return Object.fromEntries(
    Object.entries<string>(properties).map(([name, value]) => [
      name,
      value.startsWith('[') ? (name === 'DPS_ID_SCOPE' ? idScope : 'known to Azure') : value,
    ]),
  );
}

const variants = [
  'plain',
  'isolated',
  'brought-along',
  'hubs',
  'shortest',
  'longest',
  'long-environment',
] as const;

describeBicep('The deployment agrees with the code', () => {
  const evaluated = deployments(...variants);

  it('in the queues, with their locks, deliveries, duplicate detection and time to live', () => {
    for (const deployment of Object.values(evaluated)) {
      const deployed = ofType(deployment, 'Microsoft.ServiceBus/namespaces/queues').map(
        ({ name, properties }) => ({
          name: lastPart(name),
          ...delivery(properties),
          duplicateDetectionWindowInMs: duplicateDetection(properties),
        }),
      );
      expect(deployed.sort(byName)).toEqual([...queues].sort(byName));
    }
  });

  it('in the topics and their subscriptions', () => {
    for (const deployment of Object.values(evaluated)) {
      const subscriptions = ofType(deployment, 'Microsoft.ServiceBus/namespaces/topics/subscriptions');
      const deployed = ofType(deployment, 'Microsoft.ServiceBus/namespaces/topics').map(
        ({ id, name, properties }) => ({
          name: lastPart(name),
          duplicateDetectionWindowInMs: duplicateDetection(properties),
          defaultTimeToLiveInMs: inMs(properties.defaultMessageTimeToLive),
          subscriptions: subscriptions
            .filter((candidate) => candidate.id.startsWith(`${id}/`))
            .map((candidate) => ({ name: lastPart(candidate.name), ...delivery(candidate.properties) })),
        }),
      );
      expect(deployed).toEqual(topics);
    }
  });

  it('in the tables', () => {
    for (const deployment of Object.values(evaluated)) {
      const deployed = ofType(deployment, 'Microsoft.Storage/storageAccounts/tableServices/tables');
      expect(deployed.map(({ name }) => lastPart(name)).sort()).toEqual(Object.values(tableNames).sort());
    }
  });

  it('in the container that packages are deployed to', () => {
    for (const deployment of Object.values(evaluated)) {
      const account = onlyOne(deployment, 'Microsoft.Storage/storageAccounts').name;
      const container = onlyOne(deployment, 'Microsoft.Storage/storageAccounts/blobServices/containers').name;
      const { storage } = onlyOne(deployment, 'Microsoft.Web/sites').properties.functionAppConfig.deployment;
      expect(storage.value).toBe(`https://${account}.blob.core.windows.net/${lastPart(container)}`);
      expect(storage.authentication.type).toBe('UserAssignedIdentity');
    }
  });

  it('in locks that host.json renews for longer than they last', () => {
    const { extensions } = JSON.parse(readFileSync(path.join(infra, '../host.json'), 'utf8'));
    const [hours, minutes, seconds] = extensions.serviceBus.maxAutoLockRenewalDuration.split(':').map(Number);
    const renewedForInMs = ((hours * 60 + minutes) * 60 + seconds) * 1_000;
    for (const queue of queues) {
      expect(renewedForInMs).toBeGreaterThan(queue.lockDurationInMs);
    }
  });

  it('in the settings: the schema of the app takes them, with identities everywhere', () => {
    for (const deployment of Object.values(evaluated)) {
      const settings = readSettings(settingsOf(deployment));
      for (const access of [settings.dps, settings.serviceBus, settings.tables]) {
        expect(access).toMatchObject({
          identity: { endpoint: expect.any(String), clientId: 'known to Azure' },
        });
      }
    }
  });

  it('in the addresses: each setting is that of the resource', () => {
    const { plain } = evaluated;
    const settings = readSettings(settingsOf(plain));
    expect(settings).toMatchObject({
      dps: {
        identity: {
          endpoint: `https://${onlyOne(plain, 'Microsoft.Devices/provisioningServices').name}.azure-devices-provisioning.net`,
        },
      },
      serviceBus: {
        identity: {
          endpoint: `${onlyOne(plain, 'Microsoft.ServiceBus/namespaces').name}.servicebus.windows.net`,
        },
      },
      tables: {
        identity: {
          endpoint: `https://${onlyOne(plain, 'Microsoft.Storage/storageAccounts').name}.table.core.windows.net`,
        },
      },
    });
    const brought = readSettings(settingsOf(evaluated['brought-along']));
    expect(brought.dps).toMatchObject({
      identity: { endpoint: 'https://dps-contoso.azure-devices-provisioning.net' },
    });
    expect(brought.serviceBus).toMatchObject({ identity: { endpoint: 'sb-contoso.servicebus.windows.net' } });
  });

  it('in the senders of webhooks: each has the setting that the app reads', () => {
    const settings = settingsOf(evaluated.isolated);
    for (const sender of ['brno-mes', 'erp']) {
      expect(settings).toHaveProperty(webhookSecretsSetting(sender));
    }
    const secret = `whsec_${Buffer.alloc(32).toString('base64')}`;
    const put = { ...settings, [webhookSecretsSetting('erp')]: secret };
    expect([...readSettings(put).webhookSecrets.keys()]).toEqual([webhookSecretsSetting('erp')]);
  });

  it('in the defaults of quota, schedule, share and retention', () => {
    const deployed = readSettings(settingsOf(evaluated.plain));
    const byDefault = readSettings({
      DPS_ENDPOINT: 'https://dps.azure-devices-provisioning.net',
      ServiceBusConnection__fullyQualifiedNamespace: 'sb.servicebus.windows.net',
      TableStorage__tableServiceUri: 'https://st.table.core.windows.net',
    });
    const { dps: _d, serviceBus: _s, tables: _t, credentials, ...defaults } = byDefault;
    expect(deployed).toMatchObject(defaults);
    expect(deployed.credentials).toEqual({ ...credentials, idScope });
    expect(readSettings(settingsOf(evaluated.hubs)).credentials).toMatchObject({ areServed: true });
    expect(readSettings(settingsOf(evaluated.hubs)).hubs).toEqual({
      ...{ operationsPerMinute: 200, connections: [] },
    });
    expect(readSettings(settingsOf(evaluated.isolated)).auditQuotaShare).toBe(0.05);
  });

  it('in the names of settings: there is none that nobody reads', () => {
    const ours =
      /^(?:DPS_ENDPOINT|DPS_ID_SCOPE|DPS_OPERATIONS_PER_MINUTE|CREDENTIALS|CREDENTIALS_PER_MINUTE|HUB_ACCESS|HUB_OPERATIONS_PER_MINUTE|AZURE_CLIENT_ID|AUDIT_SCHEDULE|AUDIT_QUOTA_SHARE|EVENT_RETENTION_DAYS|SIGN_IN|WEBHOOK_SECRETS_[A-Z0-9_]+)$/;
    const connections =
      /^(?:AzureWebJobsStorage|ServiceBusConnection|TableStorage)__(?:fullyQualifiedNamespace|blobServiceUri|tableServiceUri|credential|clientId)$/;
    const telemetry =
      /^APPLICATIONINSIGHTS_(?:CONNECTION|AUTHENTICATION)_STRING$|^OTEL_TRACES_SAMPLER(?:_ARG)?$/;
    const host = /^FUNCTIONS_REQUEST_BODY_SIZE_LIMIT$/;
    for (const deployment of Object.values(evaluated)) {
      for (const name of Object.keys(settingsOf(deployment))) {
        expect(
          [ours, connections, telemetry, host].some((pattern) => pattern.test(name)),
          name,
        ).toBe(true);
      }
    }
  });

  it('in telemetry: every trace is kept, and every log line with it', () => {
    for (const deployment of Object.values(evaluated)) {
      expect(settingsOf(deployment)).toMatchObject({
        OTEL_TRACES_SAMPLER: 'microsoft.fixed_percentage',
        OTEL_TRACES_SAMPLER_ARG: '1.0',
      });
    }
  });

  it('in the size of requests: the host takes more than the app does, so that the app can say so, and not much more', () => {
    const limit = Number(settingsOf(evaluated.plain).FUNCTIONS_REQUEST_BODY_SIZE_LIMIT);
    expect(limit).toBeGreaterThan(maxRequestBytes);
    expect(limit).toBeLessThanOrEqual(2 * maxRequestBytes);
  });

  it('in the version of Node: one that the bundle runs on', () => {
    const runtime = (deployment: Deployment) =>
      onlyOne(deployment, 'Microsoft.Web/sites').properties.functionAppConfig.runtime;
    expect(runtime(evaluated.plain)).toEqual({ name: 'node', version: '24' });
    expect(runtime(evaluated.isolated)).toEqual({ name: 'node', version: '22' });
  });
});

describeBicep('Hubs and what is brought along', () => {
  const evaluated = deployments('plain', 'brought-along', 'hubs');

  it('an empty subscription gets one hub, linked', () => {
    const hub = onlyOne(evaluated.plain, 'Microsoft.Devices/IotHubs');
    const [linked, ...others] = onlyOne(evaluated.plain, 'Microsoft.Devices/provisioningServices').properties
      .iotHubs;
    expect(others).toEqual([]);
    expect(linked.connectionString).toContain(`reference('${hub.id}', '2023-06-30').hostName`);
    expect(linked.connectionString).toContain(`listKeys('${hub.id}/IotHubKeys/iothubowner'`);
  });

  it('made and given hubs are linked alike, each with its location and weight', () => {
    const made = ofType(evaluated.hubs, 'Microsoft.Devices/IotHubs');
    expect(made.map(({ location, sku }) => [location, sku])).toEqual([
      ['westeurope', { name: 'S1', capacity: 1 }],
      ['northeurope', { name: 'S2', capacity: 2 }],
      ['westeurope', { name: 'B1', capacity: 1 }],
    ]);
    const dps = onlyOne(evaluated.hubs, 'Microsoft.Devices/provisioningServices').properties;
    expect(dps.allocationPolicy).toBe('GeoLatency');
    const ids = [
      ...made.map(({ id }) => id),
      `${subscription}/resourceGroups/rg-iot/providers/Microsoft.Devices/IotHubs/iot-contoso`,
    ];
    for (const [index, id] of ids.entries()) {
      expect(dps.iotHubs[index].connectionString).toContain(`reference('${id}',`);
    }
    expect(
      dps.iotHubs.map((hub: { location: string; allocationWeight: number }) => [
        hub.location,
        hub.allocationWeight,
      ]),
    ).toEqual([
      ['westeurope', 3],
      ['northeurope', 1],
      ['westeurope', 1],
      ['germanywestcentral', 2],
    ]);
  });

  it('no namespace, DPS, hub or workspace is made beside those brought along, and none of them is written', () => {
    const brought = evaluated['brought-along'];
    for (const type of [
      'Microsoft.ServiceBus/namespaces',
      'Microsoft.Devices/provisioningServices',
      'Microsoft.Devices/IotHubs',
      'Microsoft.OperationalInsights/workspaces',
    ]) {
      expect(ofType(brought, type), type).toEqual([]);
    }
    const elsewhere = brought.resources.filter(({ id }) => !id.includes('/resourceGroups/rg-brought'));
    expect(new Set(elsewhere.map(({ type }) => type))).toEqual(
      new Set([
        'Microsoft.ServiceBus/namespaces/queues',
        'Microsoft.ServiceBus/namespaces/topics',
        'Microsoft.ServiceBus/namespaces/topics/subscriptions',
        'Microsoft.Insights/diagnosticSettings',
        'Microsoft.Authorization/roleAssignments',
      ]),
    );
  });
});
