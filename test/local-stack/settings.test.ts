import { describe, expect, it } from 'vitest';
import { missingSettings, settingsFor } from '../../src/local/stack/endpoints.ts';
import { unusedEndpoints } from '../functions-host/unused-endpoints.ts';

const namesGiven = (environment: NodeJS.ProcessEnv) =>
  Object.keys(missingSettings(unusedEndpoints, environment)).sort();

describe('The app is given', () => {
  it('where DPS, Service Bus and Storage of the stack are, what devices need to know, its sender’s secret, and nothing else', () => {
    expect(Object.keys(settingsFor(unusedEndpoints)).sort()).toEqual([
      'AzureWebJobsStorage',
      'DPS_CONNECTION_STRING',
      'DPS_GLOBAL_ENDPOINT',
      'DPS_ID_SCOPE',
      'HUB_CONNECTION_STRINGS',
      'ServiceBusConnection',
      'WEBHOOK_SECRETS_BRNO_MES',
    ]);
    expect(missingSettings(unusedEndpoints, {})).toEqual(settingsFor(unusedEndpoints));
  });

  it('no DPS of the stack where the environment names one, in either form', () => {
    const others = ['AzureWebJobsStorage', 'ServiceBusConnection', 'WEBHOOK_SECRETS_BRNO_MES'];
    expect(namesGiven({ DPS_ENDPOINT: 'https://contoso.azure-devices-provisioning.net' })).toEqual(others);
    expect(namesGiven({ DPS_CONNECTION_STRING: 'HostName=contoso' })).toEqual(others);
    expect(namesGiven({ DPS_OPERATIONS_PER_MINUTE: '10' })).toContain('DPS_CONNECTION_STRING');
  });

  it('no Service Bus of the stack where the environment names one, in either form', () => {
    const others = [
      'AzureWebJobsStorage',
      'DPS_CONNECTION_STRING',
      'DPS_GLOBAL_ENDPOINT',
      'DPS_ID_SCOPE',
      'HUB_CONNECTION_STRINGS',
      'WEBHOOK_SECRETS_BRNO_MES',
    ];
    expect(namesGiven({ ServiceBusConnection: 'Endpoint=sb://contoso' })).toEqual(others);
    const namespace = { ServiceBusConnection__fullyQualifiedNamespace: 'contoso.servicebus.windows.net' };
    expect(namesGiven(namespace)).toEqual(others);
  });

  it('no secret of a sender where the environment has one', () => {
    const secret = { WEBHOOK_SECRETS_BRNO_MES: 'whsec_other' };
    expect(namesGiven(secret)).toEqual([
      'AzureWebJobsStorage',
      'DPS_CONNECTION_STRING',
      'DPS_GLOBAL_ENDPOINT',
      'DPS_ID_SCOPE',
      'HUB_CONNECTION_STRINGS',
      'ServiceBusConnection',
    ]);
  });

  it('what the environment leaves empty', () => {
    expect(namesGiven({ DPS_CONNECTION_STRING: '' })).toContain('DPS_CONNECTION_STRING');
  });
});
