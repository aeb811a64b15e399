import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  comparable,
  derivedKey,
  deviceToken,
  register,
  startTestEmulator,
  symmetric,
  symmetricGroup,
  type TestEmulator,
} from './harness.ts';

const operationIdPattern = /^\d\.[0-9a-f]{16}\.[0-9a-f-]{36}$/;

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

const hub = (name: string) => `${name}.azure-devices.net`;
const linkHubs = (...hubs: Record<string, unknown>[]) => emulator.control('PUT', 'hubs', hubs);
const record = async (id: string) => (await emulator.call('GET', `/registrations/${id}`)).json;

async function enroll(registrationId: string, more: Record<string, unknown> = {}): Promise<string> {
  const send = {
    body: symmetric(registrationId, more),
    headers: { 'if-match': undefined as string | undefined },
  };
  const first = await emulator.call('PUT', `/enrollments/${registrationId}`, send);
  if (first.status === 200) {
    return first.json.attestation.symmetricKey.primaryKey;
  }
  const mechanism = await emulator.call('POST', `/enrollments/${registrationId}/attestationmechanism`);
  const body = symmetric(registrationId, { ...more, attestation: mechanism.json });
  const again = await emulator.call('PUT', `/enrollments/${registrationId}`, {
    body,
    headers: { 'if-match': '*' },
  });
  return again.json.attestation.symmetricKey.primaryKey;
}

describe('a registration', () => {
  it('is answered 202 with Location and Retry-After, then 200 with the assignment', async () => {
    const key = await enroll('Dev-1', { deviceId: 'device-1' });
    const headers = { authorization: deviceToken(emulator.idScope, 'Dev-1', key) };
    const path = `/${emulator.idScope}/registrations/Dev-1`;
    const first = await emulator.raw('PUT', `${path}/register`, {
      headers,
      body: { registrationId: 'Dev-1' },
    });
    expect(first.status).toBe(202);
    expect(first.json).toEqual({
      operationId: expect.stringMatching(operationIdPattern),
      status: 'assigning',
    });
    expect(first.headers.location).toBe(`${emulator.endpoint}${path}/register`);
    expect(first.headers['retry-after']).toBe('3');
    expect(first.headers['x-ms-request-id']).toMatch(/^[0-9a-f-]{36}$/);

    // The Node SDK sends a body with this GET.
    const poll = { headers, body: {} };
    const final = await emulator.raw('GET', `${path}/operations/${first.json.operationId}`, poll);
    expect(final.status).toBe(200);
    expect(Object.keys(final.json)).toEqual(['operationId', 'status', 'registrationState']);
    expect(Object.keys(final.json.registrationState)).toEqual([
      'registrationId',
      'createdDateTimeUtc',
      'assignedHub',
      'deviceId',
      'status',
      'substatus',
      'lastUpdatedDateTimeUtc',
      'etag',
    ]);
    expect(final.json.registrationState).toMatchObject({
      registrationId: 'Dev-1',
      assignedHub: hub('hub'),
      deviceId: 'device-1',
      status: 'assigned',
      substatus: 'initialAssignment',
    });
    const enrollment = (await emulator.call('GET', '/enrollments/dev-1')).json;
    expect(enrollment.registrationState).toEqual(await record('DEV-1'));
    expect(enrollment.registrationState).toEqual(final.json.registrationState);
  });

  it('is found by the status lookup, and only by the device itself', async () => {
    const key = await enroll('dev-1');
    const headers = { authorization: deviceToken(emulator.idScope, 'dev-1', key) };
    const path = `/${emulator.idScope}/registrations/dev-1`;
    const body = { registrationId: 'dev-1' };
    expect((await emulator.raw('POST', path, { headers, body })).json.errorCode).toBe(404202);
    await register(emulator, 'dev-1', { key });
    expect((await emulator.raw('POST', path, { headers, body })).json).toEqual(await record('dev-1'));
    expect((await emulator.raw('POST', path, { body })).status).toBe(401);
  });

  it('of an operation that was never started is a 404', async () => {
    const key = await enroll('dev-1');
    const headers = { authorization: deviceToken(emulator.idScope, 'dev-1', key) };
    const path = `/${emulator.idScope}/registrations/dev-1/operations/5.0000000000000000.x`;
    expect((await emulator.raw('GET', path, { headers })).status).toBe(404);
  });

  it('is refused when path and body disagree', async () => {
    const key = await enroll('dev-1');
    expect((await register(emulator, 'dev-1', { key, body: { registrationId: 'dev-2' } })).status).toBe(400);
  });

  it('that was deleted makes the next one a first one', async () => {
    const key = await enroll('dev-1', { deviceId: 'old' });
    await register(emulator, 'dev-1', { key });
    await enroll('dev-1', { deviceId: 'new' });
    const again = (await register(emulator, 'dev-1', { key })).json.registrationState;
    expect(again).toMatchObject({ deviceId: 'old', substatus: 'reprovisionedToInitialAssignment' });

    expect(
      (await emulator.call('DELETE', '/registrations/dev-1', { headers: { 'if-match': again.etag } })).status,
    ).toBe(204);
    expect((await emulator.call('GET', '/registrations/dev-1')).json.errorCode).toBe(404202);
    expect((await emulator.call('DELETE', '/registrations/dev-1')).json.errorCode).toBe(404202);
    const first = (await register(emulator, 'dev-1', { key })).json.registrationState;
    expect(first).toMatchObject({ deviceId: 'new', substatus: 'initialAssignment' });
  });

  it('is deleted only as the version that If-Match names', async () => {
    const key = await enroll('dev-1');
    const { etag } = (await register(emulator, 'dev-1', { key })).json.registrationState;
    await register(emulator, 'dev-1', { key });
    expect(
      (await emulator.call('DELETE', '/registrations/dev-1', { headers: { 'if-match': etag } })).status,
    ).toBe(412);
    expect(
      (await emulator.call('DELETE', '/registrations/dev-1', { headers: { 'if-match': '*' } })).status,
    ).toBe(204);
  });

  it('outlives its enrollment and its group', async () => {
    const { json } = await emulator.call('PUT', '/enrollmentGroups/batch-1', {
      body: symmetricGroup('batch-1'),
    });
    await register(emulator, 'dev-1', { key: derivedKey(json.attestation.symmetricKey.primaryKey, 'dev-1') });
    await emulator.call('DELETE', '/enrollmentGroups/batch-1');
    expect((await record('dev-1')).status).toBe('assigned');
    expect((await emulator.control('GET', 'stats')).json.registrations).toBe(1);
  });

  it('moves from the list of its old group to that of its new one', async () => {
    const keyOf = async (id: string) => {
      const { json } = await emulator.call('PUT', `/enrollmentGroups/${id}`, { body: symmetricGroup(id) });
      return derivedKey(json.attestation.symmetricKey.primaryKey, 'dev-1');
    };
    const [first, second] = [await keyOf('batch-1'), await keyOf('batch-2')];
    const listed = async (id: string) =>
      (await emulator.call('POST', `/registrations/${id}/query`)).json.length;
    await register(emulator, 'dev-1', { key: first });
    expect([await listed('batch-1'), await listed('batch-2')]).toEqual([1, 0]);
    await register(emulator, 'dev-1', { key: second });
    expect([await listed('batch-1'), await listed('batch-2')]).toEqual([0, 1]);
  });
});

describe('reprovisioning', () => {
  const moves = { updateHubAssignment: true, migrateDeviceData: true };

  it.each([
    ['deviceDataMigrated', moves],
    ['deviceDataMigrated', undefined],
    ['deviceDataReset', { ...moves, migrateDeviceData: false }],
  ])('to another hub is %s under %j', async (substatus, reprovisionPolicy) => {
    const key = await enroll('dev-1', { reprovisionPolicy });
    await register(emulator, 'dev-1', { key });
    await linkHubs({ hostName: hub('other') });
    const { json } = await register(emulator, 'dev-1', { key });
    expect(json.registrationState).toMatchObject({ assignedHub: hub('other'), substatus });
  });

  it('to the same hub is told truly by the service, and as before to devices of 2019-03-31', async () => {
    const key = await enroll('dev-1');
    const first = (await register(emulator, 'dev-1', { key })).json.registrationState;
    const old = (await register(emulator, 'dev-1', { key, version: '2019-03-31' })).json.registrationState;
    expect(old.substatus).toBe('initialAssignment');
    const state = await record('dev-1');
    expect(state).toMatchObject({
      substatus: 'reprovisionedToInitialAssignment',
      createdDateTimeUtc: first.createdDateTimeUtc,
    });
    expect(comparable(state.lastUpdatedDateTimeUtc) > comparable(first.lastUpdatedDateTimeUtc)).toBe(true);
  });

  it('does not happen without updateHubAssignment', async () => {
    const key = await enroll('dev-1', {
      reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: true },
    });
    await register(emulator, 'dev-1', { key });
    await linkHubs({ hostName: hub('other') });
    const { json } = await register(emulator, 'dev-1', { key });
    expect(json.registrationState).toMatchObject({
      assignedHub: hub('hub'),
      substatus: 'reprovisionedToInitialAssignment',
    });
  });
});

describe('allocation', () => {
  it('spreads devices by weight, and keeps a device where it is', async () => {
    await linkHubs(
      { hostName: hub('big'), allocationWeight: 3 },
      { hostName: hub('small') },
      { hostName: hub('off'), applyAllocationPolicy: false },
    );
    const { json } = await emulator.call('PUT', '/enrollmentGroups/g', { body: symmetricGroup('g') });
    const key = json.attestation.symmetricKey.primaryKey;
    const hubs: string[] = [];
    for (let index = 0; index < 200; index += 1) {
      const reply = await register(emulator, `dev-${index}`, { key: derivedKey(key, `dev-${index}`) });
      hubs.push(reply.json.registrationState.assignedHub);
    }
    const big = hubs.filter((name) => name === hub('big')).length;
    expect(big).toBeGreaterThan(120);
    expect(big).toBeLessThan(180);
    expect(hubs).not.toContain(hub('off'));
    const again = await register(emulator, 'dev-7', { key: derivedKey(key, 'dev-7') });
    expect(again.json.registrationState.assignedHub).toBe(hubs[7]);
  });

  it('takes the hubs that the enrollment names', async () => {
    await linkHubs(
      { hostName: hub('a') },
      { hostName: hub('b') },
      { hostName: hub('c'), applyAllocationPolicy: false },
    );
    const policies = [
      { allocationPolicy: 'static', iotHubs: [hub('c')] },
      { allocationPolicy: 'hashed', iotHubs: [hub('c').toUpperCase()] },
      { iotHubHostName: hub('c') },
    ];
    for (const [index, policy] of policies.entries()) {
      const key = await enroll(`dev-${index}`, policy);
      expect((await register(emulator, `dev-${index}`, { key })).json.registrationState.assignedHub).toBe(
        hub('c'),
      );
    }
  });

  it('goes to the nearest hub by latency', async () => {
    await linkHubs({ hostName: hub('far'), latencyMs: 90 }, { hostName: hub('near'), latencyMs: 10 });
    const key = await enroll('dev-1', { allocationPolicy: 'geoLatency' });
    expect((await register(emulator, 'dev-1', { key })).json.registrationState.assignedHub).toBe(hub('near'));
  });

  it.each([
    ['no hub is linked', [], {}],
    ['the enrollment names hubs that are not linked', [{ hostName: hub('a') }], { iotHubs: [hub('b')] }],
    [
      'static has several to choose from',
      [{ hostName: hub('a') }, { hostName: hub('b') }],
      { allocationPolicy: 'static' },
    ],
  ])('fails with 200 if %s', async (_, hubs, more) => {
    await linkHubs(...hubs);
    const key = await enroll('dev-1', more);
    const { status, json } = await register(emulator, 'dev-1', { key });
    expect([status, json.status]).toEqual([200, 'failed']);
    expect(Object.keys(json.registrationState)).toEqual([
      'registrationId',
      'createdDateTimeUtc',
      'status',
      'errorCode',
      'errorMessage',
      'lastUpdatedDateTimeUtc',
      'etag',
    ]);
    expect(await record('dev-1')).toEqual(json.registrationState);
  });
});

describe('a custom allocation webhook', () => {
  let webhook: Server;
  let asked: { url: string; body: Record<string, unknown> }[];
  let answer: (
    body: Record<string, unknown>,
  ) => { status?: number; text: string } | Promise<{ status?: number; text: string }>;

  beforeEach(async () => {
    asked = [];
    answer = () => ({ text: JSON.stringify({ iotHubHostName: hub('b') }) });
    webhook = createServer(async (request, response) => {
      const body = JSON.parse(await textOf(request));
      asked.push({ url: request.url!, body });
      const { status = 200, text } = await answer(body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    });
    await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
    await linkHubs({ hostName: hub('a') }, { hostName: hub('b') });
  });
  afterEach(() => {
    webhook.closeAllConnections();
    webhook.close();
  });

  const custom = () => ({
    allocationPolicy: 'custom',
    customAllocationDefinition: {
      webhookUrl: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/api/allocate?code=function-key`,
      apiVersion: '2021-10-01',
    },
  });

  it('is sent the enrollment, the device and the hubs, and decides', async () => {
    answer = () => ({ text: JSON.stringify({ iotHubHostName: hub('b'), payload: { motto: 'hello' } }) });
    const key = await enroll('dev-1', { ...custom(), iotHubs: [hub('a'), hub('b')] });
    const { json } = await register(emulator, 'dev-1', { key, body: { payload: { firmware: 3 } } });
    expect(json.registrationState).toMatchObject({
      assignedHub: hub('b'),
      payload: { motto: 'hello' },
      substatus: 'initialAssignment',
    });
    expect((await record('dev-1')).payload).toEqual({ motto: 'hello' });

    const { url, body } = asked[0]!;
    expect(url).toBe('/api/allocate?code=function-key');
    expect(body.linkedHubs).toEqual([hub('a'), hub('b')]);
    expect(body.deviceRuntimeContext).toEqual({
      registrationId: 'dev-1',
      symmetricKey: {},
      payload: { firmware: 3 },
    });
    expect(body.individualEnrollment).toMatchObject({
      registrationId: 'dev-1',
      attestation: { type: 'symmetricKey' },
    });
    const { etag } = (await emulator.call('GET', '/enrollments/dev-1')).json;
    expect((body.individualEnrollment as { etag: string }).etag).toBe(Buffer.from(etag, 'base64').toString());
    expect(JSON.stringify(body)).not.toContain(key);
  });

  it('is told where a device of a group is now, and may move it', async () => {
    answer = ({ deviceRuntimeContext }) => {
      const current = (deviceRuntimeContext as { currentIotHubHostName?: string }).currentIotHubHostName;
      const next =
        current === undefined
          ? { iotHubHostName: hub('a') }
          : { iotHubHostName: hub('b'), initialTwin: { tags: {} } };
      return { text: JSON.stringify(next) };
    };
    const { json } = await emulator.call('PUT', '/enrollmentGroups/g', {
      body: symmetricGroup('g', custom()),
    });
    const key = derivedKey(json.attestation.symmetricKey.primaryKey, 'dev-1');
    await register(emulator, 'dev-1', { key });
    const moved = await register(emulator, 'dev-1', { key });
    expect(asked[1]!.body).toMatchObject({
      enrollmentGroup: { enrollmentGroupId: 'g' },
      deviceRuntimeContext: { currentIotHubHostName: hub('a'), currentDeviceId: 'dev-1' },
    });
    // The returned twin overrides the migration that the policy would do.
    expect(moved.json.registrationState).toMatchObject({
      assignedHub: hub('b'),
      substatus: 'deviceDataReset',
    });
  });

  it('keeps devices waiting, who are told 202 until it has answered', async () => {
    let decide = (_: { text: string }) => {};
    answer = () => new Promise((resolve) => (decide = resolve));
    const key = await enroll('dev-1', custom());
    const headers = { authorization: deviceToken(emulator.idScope, 'dev-1', key) };
    const path = `/${emulator.idScope}/registrations/dev-1`;
    const first = await emulator.raw('PUT', `${path}/register`, { headers, body: {} });
    const operation = `${path}/operations/${first.json.operationId}`;
    const waiting = await emulator.raw('GET', operation, { headers });
    expect([waiting.status, waiting.headers['retry-after']]).toEqual([202, '3']);
    expect(waiting.json.registrationState).toEqual({ registrationId: 'dev-1', status: 'assigning' });
    await until(() => asked.length === 1);
    decide({ text: JSON.stringify({ iotHubHostName: hub('a') }) });
    await until(async () => (await emulator.raw('GET', operation, { headers })).status === 200);
  });

  it.each([
    ['an error', { status: 400, text: '{}' }, 'Custom allocation failed with status code: 400'],
    ['a redirect', { status: 302, text: '' }, 'Custom allocation failed with status code: 302'],
    ['no JSON', { text: 'hub-b' }, expect.stringContaining('no JSON')],
    [
      'a hub that is not linked',
      { text: '{"iotHubHostName":"evil.example"}' },
      expect.stringContaining('no linked'),
    ],
    ['no hub', { text: 'null' }, expect.stringContaining('no linked')],
  ])('that answers %s makes the registration fail with 400207', async (_, reply, errorMessage) => {
    answer = () => reply;
    const key = await enroll('dev-1', custom());
    const { status, json } = await register(emulator, 'dev-1', { key });
    expect([status, json.status]).toEqual([200, 'failed']);
    expect(json.registrationState).toMatchObject({ errorCode: 400207, errorMessage });
  });

  it('that does not answer makes it fail without telling the URL, which may hold a key', async () => {
    const definition = custom();
    webhook.close();
    const key = await enroll('dev-1', definition);
    const { json } = await register(emulator, 'dev-1', { key });
    expect(json.registrationState.errorCode).toBe(400207);
    expect(json.registrationState.errorMessage).not.toContain('function-key');
  });
});

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
