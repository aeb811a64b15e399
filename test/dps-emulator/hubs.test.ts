import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deriveDeviceKey } from '../../src/dps/device-key.ts';
import { registerDevice } from '../../src/local/devices/simulated-device.ts';
import { developmentHubKey } from '../../src/local/dps/hub/authorization.ts';
import { signToken, startTestEmulator, type TestEmulator } from './harness.ts';
import { officialRegistry } from './hub-client.ts';

const hub = 'hub.azure-devices.net';
const key = (letter: string) => Buffer.from(letter.repeat(32)).toString('base64');
let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
beforeEach(() => emulator.control('POST', 'reset'));
afterAll(() => emulator?.stop());

const registry = (policy?: string) => officialRegistry(emulator.endpoint, hub, policy);
const identity = async (deviceId: string, at = hub) =>
  (await officialRegistry(emulator.endpoint, at).get(deviceId)).responseBody;
const failure = async (promise: Promise<unknown>) =>
  promise.then(
    () => 'no failure',
    (error: Error) => error.constructor.name,
  );

async function enroll(id: string, more: object = {}, headers = {}): Promise<void> {
  const symmetricKey = { primaryKey: key('p'), secondaryKey: key('s') };
  const body = { registrationId: id, attestation: { type: 'symmetricKey', symmetricKey }, ...more };
  const { status, text } = await emulator.call('PUT', `/enrollments/${id}`, { body, headers });
  expect(status, text).toBe(200);
}

function hubCall(method: string, path: string, body?: unknown, headers = {}) {
  const authorization = signToken({ resource: hub, key: developmentHubKey, keyName: 'iothubowner' });
  const sent = { authorization, host: hub, ...headers };
  return emulator.raw(method, path, { body, version: '2021-04-12', headers: sent });
}

function switchOn(id: string, deviceKey = key('p')) {
  return registerDevice(
    id,
    { kind: 'symmetricKey', key: deviceKey },
    {
      endpoint: emulator.deviceEndpoint,
      mqttEndpoint: emulator.mqttEndpoint,
      mqttWebSocketEndpoint: emulator.mqttWebSocketEndpoint,
      idScope: emulator.idScope,
      ca: readFileSync(emulator.caCertificate, 'utf8'),
    },
  );
}

describe('a linked hub, to the official client', () => {
  it('creates, reads, lists and deletes identities', async () => {
    const made = await registry().create({ deviceId: 'Sensor-1' });
    expect(made.responseBody).toMatchObject({ deviceId: 'Sensor-1', status: 'enabled', statusReason: null });
    expect(await identity('Sensor-1')).toMatchObject({ authentication: { type: 'sas' } });
    expect(await failure(registry().create({ deviceId: 'Sensor-1' }))).toBe('DeviceAlreadyExistsError');
    expect(await failure(registry().get('sensor-1'))).toBe('DeviceNotFoundError');
    expect((await registry().list()).responseBody).toHaveLength(1);
    await registry().delete('Sensor-1');
    expect(await failure(registry().get('Sensor-1'))).toBe('DeviceNotFoundError');
  });

  it('replaces whole: what an update does not send is reset, and keys that are missing are new ones', async () => {
    await registry().create({ deviceId: 'd1' });
    const before = await identity('d1');
    await registry().update({ ...before, status: 'disabled', statusReason: 'held' });
    const held = await identity('d1');
    expect(held).toMatchObject({ status: 'disabled', statusReason: 'held' });
    expect(held.authentication).toEqual(before.authentication);
    expect([held.generationId, held.etag !== before.etag]).toEqual([before.generationId, true]);
    await registry().update({ deviceId: 'd1', status: 'disabled' });
    const careless = await identity('d1');
    expect(careless.statusReason).toBeNull();
    expect(careless.authentication).not.toEqual(before.authentication);
  });

  it('takes an etag for what it is: that of the last write, quoted or not', async () => {
    await registry().create({ deviceId: 'd2' });
    const before = await identity('d2');
    const put = (ifMatch: string) => hubCall('PUT', '/devices/d2', before, { 'if-match': ifMatch });
    expect((await put(`"${before.etag}"`)).status).toBe(200);
    expect((await put(`"${before.etag}"`)).status).toBe(412);
    const { etag } = await identity('d2');
    expect((await put(etag!)).status).toBe(200);
    expect((await hubCall('PUT', '/devices/d9', { deviceId: 'd9' }, { 'if-match': '"*"' })).status).toBe(404);
    expect((await hubCall('DELETE', '/devices/d2', undefined, { 'if-match': '"old"' })).status).toBe(412);
  });

  it('works on many at once: what is good is done, and each failure is named', async () => {
    await registry().addDevices(['b1', 'b2'].map((deviceId) => ({ deviceId })));
    const b1 = await identity('b1');
    const devices = [
      { deviceId: 'b1', etag: b1.etag, status: 'disabled', authentication: b1.authentication },
      { deviceId: 'b2', etag: 'b2xk', status: 'disabled', authentication: b1.authentication },
    ];
    await expect(registry().updateDevices(devices as never, false)).rejects.toMatchObject({
      responseBody: expect.stringContaining('PreconditionFailed'),
    });
    expect((await identity('b1')).status).toBe('disabled');
    expect((await identity('b2')).status).toBe('enabled');
    await registry().removeDevices([{ deviceId: 'b1' }, { deviceId: 'b2' }] as never, true);
    expect((await registry().list()).responseBody).toEqual([]);
  });

  it('answers queries in pages, twins and statistics', async () => {
    const ids = Array.from({ length: 230 }, (_, index) => `q${String(index).padStart(3, '0')}`);
    for (let start = 0; start < ids.length; start += 100) {
      await registry().addDevices(ids.slice(start, start + 100).map((deviceId) => ({ deviceId })));
    }
    await registry().update({ ...(await identity('q007')), status: 'disabled' });
    const query = registry().createQuery("SELECT * FROM devices WHERE status = 'enabled'", 100);
    const found: string[] = [];
    while (query.hasMoreResults) {
      const { result } = await query.nextAsTwin();
      found.push(...result.map(({ deviceId }: { deviceId: string }) => deviceId));
    }
    expect(found).toEqual(ids.filter((id) => id !== 'q007'));
    const twin = (await registry().getTwin('q007')).responseBody;
    expect(twin).toMatchObject({ deviceId: 'q007', status: 'disabled', tags: {} });
    expect(JSON.stringify(twin)).not.toContain('primaryKey');
    expect((await registry().getRegistryStatistics()).responseBody).toEqual({
      totalDeviceCount: 230,
      enabledDeviceCount: 229,
      disabledDeviceCount: 1,
    });
    const count = await hubCall('POST', '/devices/query', { query: 'SELECT COUNT() AS n FROM devices' });
    expect(count.json).toEqual([{ n: 230 }]);
    const joined = await hubCall('POST', '/devices/query', { query: 'SELECT * FROM devices.jobs' });
    expect(joined.status).toBe(400);
  });

  it('lets a policy do no more than it may', async () => {
    await registry().create({ deviceId: 'd4' });
    expect((await registry('registryRead').get('d4')).responseBody.deviceId).toBe('d4');
    expect(await failure(registry('registryRead').delete('d4'))).toBe('UnauthorizedError');
    expect(await failure(registry('service').get('d4'))).toBe('UnauthorizedError');
    expect(await failure(officialRegistry(emulator.endpoint, hub, 'nobody').get('d4'))).toBe(
      'UnauthorizedError',
    );
  });

  it('fails as it is told to', async () => {
    await registry().create({ deviceId: 'd5' });
    await emulator.control('PUT', 'faults', [{ operation: 'HubIdentity_*', status: 429, count: 1 }]);
    expect(await failure(registry().get('d5'))).toBe('ThrottlingError');
    expect((await identity('d5')).deviceId).toBe('d5');
    const { json } = await emulator.control('GET', 'stats');
    expect(json.requests.HubIdentity_Get).toEqual({ 200: 1, 429: 1 });
  });
});

describe('a registration', () => {
  it('writes the identity: credentials, capabilities and the initial twin', async () => {
    const initialTwin = { tags: { plant: 'brno' }, properties: { desired: { interval: 30 } } };
    await enroll('r1', { deviceId: 'Device-1', initialTwin, capabilities: { iotEdge: true } });
    await switchOn('r1');
    expect(await identity('Device-1')).toMatchObject({
      status: 'enabled',
      authentication: { type: 'sas', symmetricKey: { primaryKey: key('p'), secondaryKey: key('s') } },
      capabilities: { iotEdge: true },
    });
    expect((await registry().getTwin('Device-1')).responseBody).toMatchObject({
      tags: { plant: 'brno' },
      properties: { desired: { interval: 30 } },
    });
  });

  it('through a group gives the keys that are derived', async () => {
    const symmetricKey = { primaryKey: key('g'), secondaryKey: key('h') };
    await emulator.call('PUT', '/enrollmentGroups/g1', {
      body: { enrollmentGroupId: 'g1', attestation: { type: 'symmetricKey', symmetricKey } },
    });
    await switchOn('Member-1', deriveDeviceKey(key('g'), 'Member-1'));
    expect((await identity('Member-1')).authentication).toMatchObject({
      symmetricKey: {
        primaryKey: deriveDeviceKey(key('g'), 'Member-1'),
        secondaryKey: deriveDeviceKey(key('h'), 'Member-1'),
      },
    });
  });

  it('that comes again enables what was disabled, and makes what was deleted', async () => {
    await enroll('r2');
    await switchOn('r2');
    await registry().update({ ...(await identity('r2')), status: 'disabled' });
    await switchOn('r2');
    expect((await identity('r2')).status).toBe('enabled');
    await registry().delete('r2');
    await switchOn('r2');
    expect((await identity('r2')).status).toBe('enabled');
  });

  it('that goes to another hub moves the identity and its twin there', async () => {
    const other = 'other.azure-devices.net';
    await emulator.control('PUT', 'hubs', [{ hostName: hub }, { hostName: other }]);
    const initialTwin = { tags: { plant: 'brno' } };
    await enroll('r3', { iotHubs: [hub], allocationPolicy: 'static', initialTwin });
    await switchOn('r3');
    expect((await identity('r3')).deviceId).toBe('r3');
    await enroll('r3', { iotHubs: [other], allocationPolicy: 'static' }, { 'if-match': '*' });
    expect(await switchOn('r3')).toMatchObject({ assignedHub: other });
    expect(await failure(registry().get('r3'))).toBe('DeviceNotFoundError');
    const twin = (await officialRegistry(emulator.endpoint, other).getTwin('r3')).responseBody;
    expect(twin.tags).toEqual({ plant: 'brno' });
  });
});

describe('identities', () => {
  it('outlive the process where the emulator keeps its state, deletions included', async () => {
    const dataDirectory = mkdtempSync(path.join(tmpdir(), 'hub-data-'));
    const first = await startTestEmulator({ dataDirectory });
    await officialRegistry(first.endpoint, hub).addDevices([{ deviceId: 'k1' }, { deviceId: 'k2' }]);
    const { responseBody: before } = await officialRegistry(first.endpoint, hub).get('k1');
    await officialRegistry(first.endpoint, hub).delete('k2');
    await first.stop();
    const second = await startTestEmulator({ dataDirectory });
    const again = officialRegistry(second.endpoint, hub);
    expect((await again.list()).responseBody).toEqual([before]);
    await second.control('POST', 'reset');
    expect((await again.list()).responseBody).toEqual([]);
    await second.stop();
    rmSync(dataDirectory, { recursive: true });
  });
});
