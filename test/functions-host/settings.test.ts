import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadLocalSettings, resolveSettings } from '../../src/local/functions/app-settings.ts';
import { startFunctionsHost } from '../../src/local/functions/host.ts';
import { millisecondsOf, readHostJson } from '../../src/local/functions/host-json.ts';
import { connectToServiceBus } from '../../src/local/functions/service-bus-connection.ts';

let folder: string;
const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
const start = () =>
  startFunctionsHost({ appDirectory: folder, port: 0, keys: { function: 'f', master: 'm' } });

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'function-app-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('host.json', () => {
  it('has the defaults of Azure Functions', () => {
    write('host.json', '{ "version": "2.0" }');
    expect(readHostJson(folder)).toEqual({
      routePrefix: 'api',
      serviceBus: {
        maxConcurrentCalls: 16,
        autoCompleteMessages: true,
        maxAutoLockRenewalDurationInMs: 300_000,
      },
    });
  });

  it('gives durations as .NET writes them', () => {
    expect(millisecondsOf('00:00:01.5')).toBe(1500);
    expect(millisecondsOf('1.02:03:04')).toBe((((1 * 24 + 2) * 60 + 3) * 60 + 4) * 1000);
    expect(() => millisecondsOf('5m')).toThrow('should look like 00:05:00');
  });
});

describe('Settings', () => {
  it('come from local.settings.json where the environment does not have them', () => {
    write('local.settings.json', '{ "Values": { "FROM_FILE": "file", "FROM_BOTH": "file" } }');
    process.env.FROM_BOTH = 'environment';
    loadLocalSettings(folder);
    expect(resolveSettings('%FROM_FILE%-%FROM_BOTH%')).toBe('file-environment');
  });
});

describe('A Service Bus connection', () => {
  it('without its setting says both ways to set it', async () => {
    await expect(connectToServiceBus('NoSuchConnection')).rejects.toThrow(
      /NoSuchConnection is missing.*NoSuchConnection__fullyQualifiedNamespace/,
    );
  });

  it('may be a namespace and an identity', async () => {
    process.env.ByIdentity__fullyQualifiedNamespace = 'contoso.servicebus.windows.net';
    process.env.ByIdentity__clientId = '00000000-0000-0000-0000-000000000000';
    const client = await connectToServiceBus('ByIdentity');
    expect(client.fullyQualifiedNamespace).toBe('contoso.servicebus.windows.net');
    await client.close();
  });
});

describe('A folder that is no function app', () => {
  it('is refused for lack of host.json', async () => {
    await expect(start()).rejects.toThrow('host.json is missing');
  });

  it('is refused for a host.json that is no JSON', async () => {
    write('host.json', '{');
    await expect(start()).rejects.toThrow('host.json is no valid JSON');
  });

  it('is refused for a "main" that names nothing', async () => {
    write('host.json', '{}');
    write('package.json', '{ "main": "functions/*.js" }');
    await expect(start()).rejects.toThrow('matches "main" of package.json: functions/*.js');
  });

  it('is refused for what it throws', async () => {
    write('host.json', '{}');
    write('package.json', '{ "main": "main.mjs" }');
    write('main.mjs', 'throw new Error("SOME_SETTING is missing: set it to something.");');
    await expect(start()).rejects.toThrow('SOME_SETTING is missing: set it to something.');
  });
});
