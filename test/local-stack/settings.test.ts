import { describe, expect, it } from 'vitest';
import { missingSettings, settingsFor } from '../../src/local/stack/endpoints.ts';
import { unusedEndpoints } from '../functions-host/unused-endpoints.ts';

const namesGiven = (environment: NodeJS.ProcessEnv) =>
  Object.keys(missingSettings(unusedEndpoints, environment)).sort();

describe('The app is given', () => {
  it('where DPS, Service Bus and Storage of the stack are, and nothing else', () => {
    expect(Object.keys(settingsFor(unusedEndpoints)).sort()).toEqual([
      'AzureWebJobsStorage',
      'DPS_CONNECTION_STRING',
      'ServiceBusConnection',
    ]);
    expect(missingSettings(unusedEndpoints, {})).toEqual(settingsFor(unusedEndpoints));
  });

  it('no DPS of the stack where the environment names one, in either form', () => {
    const others = ['AzureWebJobsStorage', 'ServiceBusConnection'];
    expect(namesGiven({ DPS_ENDPOINT: 'https://contoso.azure-devices-provisioning.net' })).toEqual(others);
    expect(namesGiven({ DPS_CONNECTION_STRING: 'HostName=contoso' })).toEqual(others);
    expect(namesGiven({ DPS_OPERATIONS_PER_MINUTE: '10' })).toContain('DPS_CONNECTION_STRING');
  });

  it('no Service Bus of the stack where the environment names one, in either form', () => {
    const others = ['AzureWebJobsStorage', 'DPS_CONNECTION_STRING'];
    expect(namesGiven({ ServiceBusConnection: 'Endpoint=sb://contoso' })).toEqual(others);
    const namespace = { ServiceBusConnection__fullyQualifiedNamespace: 'contoso.servicebus.windows.net' };
    expect(namesGiven(namespace)).toEqual(others);
  });

  it('what the environment leaves empty', () => {
    expect(namesGiven({ DPS_CONNECTION_STRING: '' })).toContain('DPS_CONNECTION_STRING');
  });
});
