import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { simulatedTpm } from '../../src/local/devices/simulated-tpm.ts';
import { type Identity, makeCertificate } from './certificates.ts';
import {
  derivedKey,
  deviceToken,
  register,
  signToken,
  startTestEmulator,
  symmetric,
  symmetricGroup,
  type TestEmulator,
} from './harness.ts';
import { connected, open, pollTopic, registerTopic, responses } from './mqtt-client.ts';

let emulator: TestEmulator;
let key: string;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(async () => {
  await emulator.control('POST', 'reset');
  key = await enroll('dev-1');
});

async function enroll(id: string, more: Record<string, unknown> = {}): Promise<string> {
  const { json } = await emulator.call('PUT', `/enrollments/${id}`, { body: symmetric(id, more) });
  return json.attestation.symmetricKey.primaryKey;
}

async function enrollX509(id: string, { pem }: Identity): Promise<void> {
  const x509 = { clientCertificates: { primary: { certificate: pem } } };
  await emulator.call('PUT', `/enrollments/${id}`, {
    body: { registrationId: id, attestation: { type: 'x509', x509 } },
  });
}

async function withPassword(id: string, password: string) {
  const connection = await open(emulator);
  const code = await connection.connect(id, emulator.idScope, { password: Buffer.from(password) });
  expect(code).toBe(0);
  await connection.subscribe();
  return connection;
}

describe.each(['mqtt', 'mqtt-ws'] as const)('a device over %s', (transport) => {
  it('registers with its symmetric key: 202 assigning with retry-after, then 200 assigned', async () => {
    const device = await connected(emulator, 'dev-1', key, { transport });
    const first = await device.ask('register', 'a-1', '{"registrationId":"dev-1"}');
    expect(first).toMatchObject({ status: 202, retryAfter: '3', json: { status: 'assigning' } });
    expect(first?.packet).toMatchObject({
      topic: '$dps/registrations/res/202/?$rid=a-1&retry-after=3',
      qos: 1,
      retain: false,
    });
    const final = await device.ask({ operationId: first?.json.operationId }, 'a-2', ' ');
    expect(final?.packet.topic).toBe('$dps/registrations/res/200/?$rid=a-2');
    expect(final?.json).toMatchObject({
      operationId: first?.json.operationId,
      status: 'assigned',
      registrationState: { registrationId: 'dev-1', deviceId: 'dev-1', assignedHub: 'hub.azure-devices.net' },
    });
    await device.close();
  });

  it('registers with a key that is derived from its group', async () => {
    const { json } = await emulator.call('PUT', '/enrollmentGroups/batch-1', {
      body: symmetricGroup('batch-1'),
    });
    const groupKey = json.attestation.symmetricKey.primaryKey;
    const device = await connected(emulator, 'member-1', derivedKey(groupKey, 'member-1'), { transport });
    expect((await device.register())?.json.registrationState).toMatchObject({
      symmetricKey: { enrollmentGroupId: 'batch-1' },
      status: 'assigned',
    });
    await device.close();
  });

  it('registers with a certificate of its own', async () => {
    const identity = await makeCertificate('CN=dev-x');
    await enrollX509('dev-x', identity);
    const device = await open(emulator, { transport, identity });
    expect(await device.connect('dev-x', emulator.idScope)).toBe(0);
    await device.subscribe();
    expect((await device.register())?.json.registrationState).toMatchObject({ x509: {}, status: 'assigned' });
    await device.close();
  });

  it('registers with a chain up to its group, and with a chain that has a gap not', async () => {
    const root = await makeCertificate('CN=root', { isAuthority: true });
    const line = await makeCertificate('CN=line', { issuer: root, isAuthority: true });
    const identity = await makeCertificate('CN=dev-c', { issuer: line });
    const x509 = { signingCertificates: { primary: { certificate: root.pem } } };
    const attestation = { type: 'x509', x509 };
    await emulator.call('PUT', '/enrollmentGroups/chains', {
      body: { enrollmentGroupId: 'chains', attestation },
    });
    const outcomes = [];
    for (const chain of [[line], []]) {
      const device = await open(emulator, { transport, identity, chain });
      expect(await device.connect('dev-c', emulator.idScope)).toBe(0);
      await device.subscribe();
      const response = await device.register();
      outcomes.push(response?.json.errorCode ?? response?.json.registrationState.x509);
      await device.close();
    }
    expect(outcomes).toEqual([{ enrollmentGroupId: 'chains' }, 401002]);
  });
});

describe('a device that may not register', () => {
  it.each([
    ['a wrong key', () => deviceToken(emulator.idScope, 'dev-1', Buffer.alloc(32))],
    ['the token of another device', () => deviceToken(emulator.idScope, 'dev-2', key)],
    ['a text that is no token', () => 'password'],
    [
      'an expired token',
      () => signToken({ resource: `${emulator.idScope}/registrations/dev-1`, key, expiry: 1_700_000_000 }),
    ],
    [
      'a token for another policy',
      () => signToken({ resource: `${emulator.idScope}/registrations/dev-1`, key, keyName: 'other' }),
    ],
  ])('is connected and subscribed, and told 401000 when it registers: %s', async (_, password) => {
    const device = await withPassword('dev-1', password());
    const response = await device.ask('register');
    expect(response).toMatchObject({ status: 401, json: { errorCode: 401000, message: 'Unauthorized' } });
    expect(response?.json).toMatchObject({
      trackingId: expect.any(String),
      timestampUtc: expect.any(String),
    });
    await device.close();
  });

  it('is told 401002 if its certificate is not the enrolled one, or names another device', async () => {
    await enrollX509('dev-x', await makeCertificate('CN=dev-x'));
    for (const subject of ['CN=dev-x', 'CN=dev-y']) {
      const device = await open(emulator, { identity: await makeCertificate(subject) });
      expect(await device.connect('dev-x', emulator.idScope)).toBe(0);
      await device.subscribe();
      expect(await device.ask('register')).toMatchObject({
        status: 401,
        json: { errorCode: 401002, message: 'Invalid certificate.' },
      });
      await device.close();
    }
  });

  it('has its next request acknowledged after a 401, and is disconnected', async () => {
    const device = await withPassword('dev-1', deviceToken(emulator.idScope, 'dev-1', Buffer.alloc(32)));
    expect((await device.ask('register'))?.status).toBe(401);
    device.publish(registerTopic('2'), '');
    expect(await device.next()).toMatchObject({ cmd: 'puback' });
    expect(await device.next()).toBeUndefined();
  });

  it('is told that it is disabled: 200 at once, with an empty operation id', async () => {
    const disabled = await enroll('dev-off', { provisioningStatus: 'disabled' });
    const device = await connected(emulator, 'dev-off', disabled);
    const response = await device.ask('register');
    expect(response?.status).toBe(200);
    expect(response?.json).toEqual({
      operationId: '',
      status: 'disabled',
      registrationState: { registrationId: 'dev-off', status: 'disabled' },
    });
    await device.close();
  });

  it('cannot attest with a TPM, neither by a challenge nor by a key from one', async () => {
    const tpm = simulatedTpm('meter');
    const attestation = { type: 'tpm', tpm: { endorsementKey: tpm.endorsementKey } };
    await emulator.call('PUT', '/enrollments/meter', { body: { registrationId: 'meter', attestation } });
    const body = { tpm: { endorsementKey: tpm.endorsementKey, storageRootKey: tpm.storageRootKey } };
    const path = `/${emulator.idScope}/registrations/meter/register`;
    const challenge = await emulator.raw('PUT', path, { body });
    const device = await connected(emulator, 'meter', tpm.activate(challenge.json.authenticationKey));
    expect(await device.ask('register', '1', JSON.stringify(body))).toMatchObject({
      status: 400,
      json: { message: "'tpm' is not supported over MQTT." },
    });
    expect((await device.ask('register', '2'))?.status).toBe(401);
    await device.close();
  });
});

describe('what clients differ in', () => {
  it('takes tokens without skn, which the Python SDK sends, with encoded and with raw resources', async () => {
    for (const resource of [
      `${emulator.idScope}/registrations/dev-1`,
      encodeURIComponent(`${emulator.idScope}/registrations/dev-1`),
    ]) {
      const device = await withPassword('dev-1', signToken({ resource, key }));
      expect((await device.register())?.json.status).toBe('assigned');
      await device.close();
    }
  });

  it.each([
    ['no body', ''],
    ['a blank one', ' \r\n'],
    ['a payload alone', '{"payload":{"a":1}}'],
    ['a payload that is null', '{"payload": null, "registrationId": "dev-1"}'],
    ['the id in other letters', '{"registrationId":"DEV-1"}'],
  ])('registers with %s', async (_, body) => {
    const device = await connected(emulator, 'dev-1', key);
    expect((await device.register(body))?.json.status).toBe('assigned');
    await device.close();
  });

  it.each([
    ['another id', '{"registrationId":"dev-2"}', "'registrationId' must be the id of the device that asks."],
    ['no JSON', '{', 'The body is not valid JSON.'],
    ['no object', '[]', 'The body must be a JSON object.'],
    ['a certificate request', '{"csr":"MIIB"}', "'csr' is not supported over MQTT."],
  ])('answers 400 to a body that holds %s', async (_, body, message) => {
    const device = await connected(emulator, 'dev-1', key);
    expect(await device.ask('register', '1', body)).toMatchObject({ status: 400, json: { message } });
    await device.close();
  });

  it('answers 413 to a body over 96 KB', async () => {
    const device = await connected(emulator, 'dev-1', key);
    const response = await device.ask('register', '1', ' '.repeat(96 * 1024 + 1));
    expect(response).toMatchObject({ status: 413, json: { errorCode: 413001 } });
    await device.close();
  });

  it('answers requests of QoS 0, which the SDKs for C and Java send, without an acknowledgement', async () => {
    const device = await connected(emulator, 'dev-1', key);
    device.publish(registerTopic('7'), '', { qos: 0 });
    const first = await device.response();
    expect(first?.packet.topic).toBe('$dps/registrations/res/202/?$rid=7&retry-after=3');
    device.publish(pollTopic('8', first?.json.operationId), '', { qos: 0 });
    expect((await device.response())?.json.status).toBe('assigned');
    await device.close();
  });

  it('says initialAssignment again to the api-version of the SDKs, and what it is to newer ones', async () => {
    const substatuses = [];
    for (const version of ['2019-03-31', '2019-03-31', '2021-10-01']) {
      const device = await open(emulator);
      const password = Buffer.from(deviceToken(emulator.idScope, 'dev-1', key));
      const username = `${emulator.idScope}/registrations/dev-1/api-version=${version}`;
      expect(await device.connect('dev-1', emulator.idScope, { username, password })).toBe(0);
      await device.subscribe();
      substatuses.push((await device.register())?.json.registrationState.substatus);
      await device.close();
    }
    expect(substatuses).toEqual([
      'initialAssignment',
      'initialAssignment',
      'reprovisionedToInitialAssignment',
    ]);
  });
});

describe('responses', () => {
  it('come with QoS 1 to a subscription of QoS 2, which is granted as 1, and with QoS 0 to one of QoS 0', async () => {
    for (const [asked, granted] of [
      [2, 1],
      [1, 1],
      [0, 0],
    ] as const) {
      const device = await connected(emulator, 'dev-1', key);
      expect(await device.subscribe(responses, asked)).toEqual([granted]);
      expect((await device.ask('register'))?.packet.qos).toBe(granted);
      await device.close();
    }
  });

  it('stay away from a device that is not subscribed, which registers all the same', async () => {
    const device = await connected(emulator, 'dev-1', key);
    device.send({ cmd: 'unsubscribe', messageId: 90, unsubscriptions: [responses] });
    expect(await device.next()).toMatchObject({ cmd: 'unsuback', messageId: 90 });
    device.publish(registerTopic('1'), '');
    expect(await device.next()).toMatchObject({ cmd: 'puback' });
    device.send({ cmd: 'pingreq' });
    expect(await device.next()).toMatchObject({ cmd: 'pingresp' });
    const { json } = await emulator.call('GET', '/registrations/dev-1');
    expect(json.status).toBe('assigned');
    await device.close();
  });

  it('carry the rid as it came', async () => {
    const device = await connected(emulator, 'dev-1', key);
    for (const rid of ['9b2c%2Fa', "a'(b)*,-._~/?=:@", 'x'.repeat(500)]) {
      expect((await device.ask('register', rid))?.packet.topic).toContain(`/?$rid=${rid}&retry-after=3`);
    }
    await device.close();
  });

  it('are 404 for an operation that is unknown, or is of another device', async () => {
    const other = await connected(emulator, 'dev-2', await enroll('dev-2'));
    const theirs = await other.ask('register');
    const device = await connected(emulator, 'dev-1', key);
    for (const operationId of ['5.0.unknown', '%E0%A4', theirs?.json.operationId]) {
      expect(await device.ask({ operationId })).toMatchObject({ status: 404, json: { errorCode: 404203 } });
    }
    await Promise.all([device.close(), other.close()]);
  });

  it('tell of a failed custom allocation, and of an assignment that takes its time', async () => {
    const requests: { deviceRuntimeContext: object }[] = [];
    let answer = () => {};
    const webhook = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        requests.push(JSON.parse(Buffer.concat(chunks).toString()));
        answer = () => response.writeHead(500).end();
      });
    });
    await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
    const webhookUrl = `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/`;
    const customAllocationDefinition = { webhookUrl, apiVersion: '2021-10-01' };
    const custom = await enroll('dev-3', { allocationPolicy: 'custom', customAllocationDefinition });
    const device = await connected(emulator, 'dev-3', custom);
    const first = await device.ask('register', '1', '{"payload":{"rack":7}}');
    const second = await device.ask({ operationId: first?.json.operationId }, '2');
    expect(second).toMatchObject({
      status: 202,
      retryAfter: '3',
      json: { status: 'assigning', registrationState: { registrationId: 'dev-3', status: 'assigning' } },
    });
    while (requests.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    answer();
    let last = second;
    while (last?.status === 202) {
      last = await device.ask({ operationId: first?.json.operationId }, '3');
    }
    expect(last).toMatchObject({
      status: 200,
      json: { status: 'failed', registrationState: { errorCode: 400207 } },
    });
    expect(requests[0]?.deviceRuntimeContext).toMatchObject({ payload: { rack: 7 }, symmetricKey: {} });
    await device.close();
    webhook.close();
  });
});

describe('one engine behind HTTP and MQTT', () => {
  it('knows a device that comes over both as one', async () => {
    const over = await register(emulator, 'dev-1', { key });
    const device = await connected(emulator, 'dev-1', key);
    const state = (await device.register())?.json.registrationState;
    expect(state.createdDateTimeUtc).toBe(over.json.registrationState.createdDateTimeUtc);
    expect((await emulator.control('GET', 'stats')).json.registrations).toBe(1);
    await device.close();
  });

  it('counts the requests of both, and shows them and refused connections on the page', async () => {
    await register(emulator, 'dev-1', { key });
    const device = await connected(emulator, 'dev-1', key);
    await device.register();
    await device.close();
    const refused = await open(emulator);
    expect(await refused.connect('dev-1', '0ne00FFFFFF', { password: Buffer.from('secret-token') })).toBe(3);
    const { requests } = (await emulator.control('GET', 'stats')).json;
    expect(requests.RuntimeRegistration_RegisterDevice).toEqual({ 202: 2 });
    expect(requests.RuntimeRegistration_OperationStatusLookup).toEqual({ 200: 2 });
    const page = (await emulator.control('GET', '')).text;
    expect(page).toContain('MQTT PUT');
    expect(page).toContain('MQTT GET');
    expect(page).toContain('CONNACK 3');
    expect(page).not.toContain('secret-token');
    expect(page).not.toContain('SharedAccessSignature');
  });

  it('throttles registrations of both together, and polls a device', async () => {
    await emulator.control('PUT', 'quota', { registrationsPerMinute: 2 });
    const device = await connected(emulator, 'dev-1', key);
    const { json } = (await device.ask('register'))!;
    expect((await register(emulator, 'dev-1', { key })).status).toBe(200);
    const throttled = await device.ask('register');
    expect(throttled).toMatchObject({ status: 429, json: { errorCode: 429001 } });
    expect(Number(throttled?.retryAfter)).toBeGreaterThan(0);
    const polls = [];
    for (let poll = 0; poll < 6; poll++) {
      polls.push((await device.ask({ operationId: json.operationId }))?.status);
    }
    // One of the five in ten seconds was made over HTTP.
    expect(polls).toEqual([200, 200, 200, 200, 429, 429]);
    await device.close();
  });

  it('lets faults happen to both: a status with retry-after, delays, garbage', async () => {
    const operation = 'RuntimeRegistration_*';
    const device = await connected(emulator, 'dev-1', key);
    await emulator.control('PUT', 'faults', [{ operation, status: 503, retryAfter: '7 #+&', count: 2 }]);
    const path = `/${emulator.idScope}/registrations/dev-1/register`;
    expect((await emulator.raw('PUT', path, { body: {} })).status).toBe(503);
    expect(await device.ask('register')).toMatchObject({
      status: 503,
      retryAfter: '7%20%23%2B%26',
      json: { errorCode: 503001 },
    });
    await emulator.control('PUT', 'faults', [{ operation, body: 'garbage', latencyMs: 20, count: 1 }]);
    const garbage = await device.ask('register');
    expect(garbage?.status).toBe(202);
    expect(garbage?.json).toBeUndefined();
    expect((await device.register())?.json.status).toBe('assigned');
    await device.close();
  });

  it.each([
    [{ reset: 'before' }, 404],
    [{ reset: 'after' }, 200],
    [{ body: 'truncated' }, 200],
  ])('cuts the connection by %j', async (fault, status) => {
    const device = await connected(emulator, 'dev-1', key);
    await emulator.control('PUT', 'faults', [{ operation: 'RuntimeRegistration_RegisterDevice', ...fault }]);
    expect(await device.ask('register')).toBeUndefined();
    await device.closed;
    expect((await emulator.call('GET', '/registrations/dev-1')).status).toBe(status);
  });
});
