import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

async function enroll(registrationId: string, more: Record<string, unknown> = {}) {
  const { json } = await emulator.call('PUT', `/enrollments/${registrationId}`, {
    body: symmetric(registrationId, more),
  });
  return json.attestation.symmetricKey as { primaryKey: string; secondaryKey: string };
}

async function enrollGroup(id: string, more: Record<string, unknown> = {}) {
  const { json } = await emulator.call('PUT', `/enrollmentGroups/${id}`, { body: symmetricGroup(id, more) });
  return json.attestation.symmetricKey as { primaryKey: string; secondaryKey: string };
}

const tryRegister = (registrationId: string, authorization: string) =>
  emulator.raw('PUT', `/${emulator.idScope}/registrations/${registrationId}/register`, {
    body: { registrationId },
    headers: { authorization },
  });

it('takes either key of an individual enrollment, over HTTP and over TLS', async () => {
  const { primaryKey, secondaryKey } = await enroll('dev-1');
  for (const key of [primaryKey, secondaryKey]) {
    for (const tls of [false, true]) {
      const { status, json } = await register(emulator, 'dev-1', { key, tls });
      expect([status, json.status]).toEqual([200, 'assigned']);
      expect(json.registrationState).toMatchObject({
        registrationId: 'dev-1',
        status: 'assigned',
        deviceId: 'dev-1',
      });
      expect(json.registrationState).not.toHaveProperty('symmetricKey');
    }
  }
});

it('takes keys derived from either key of a group, as documented', async () => {
  // The vector of the documentation.
  const primaryKey =
    '8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==';
  const secondaryKey = Buffer.alloc(64, 1).toString('base64');
  const id = 'sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6';
  expect(derivedKey(primaryKey, id).toString('base64')).toBe('Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=');
  await enrollGroup('batch-1', {
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } },
  });
  const first = await register(emulator, id, { key: 'Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=' });
  expect(first.json.registrationState).toMatchObject({
    symmetricKey: { enrollmentGroupId: 'batch-1' },
    deviceId: id,
  });
  const second = await register(emulator, 'dev-2', { key: derivedKey(secondaryKey, 'dev-2') });
  expect(second.json.status).toBe('assigned');
});

describe('refuses with 401', () => {
  it('a group key used as it is, and the derived key of another device', async () => {
    const { primaryKey } = await enrollGroup('batch-1');
    expect((await register(emulator, 'dev-1', { key: primaryKey })).status).toBe(401);
    expect((await register(emulator, 'dev-1', { key: derivedKey(primaryKey, 'dev-2') })).status).toBe(401);
  });

  it('a wrong key, an unknown id, no token, an expired one, and one for another resource or policy', async () => {
    const { primaryKey } = await enroll('dev-1');
    const resource = encodeURIComponent(`${emulator.idScope}/registrations/dev-1`);
    const wrong = [
      deviceToken(emulator.idScope, 'dev-1', Buffer.alloc(64).toString('base64')),
      deviceToken(emulator.idScope, 'dev-2', primaryKey),
      deviceToken('0ne00FFFFFF', 'dev-1', primaryKey),
      signToken({ resource, key: primaryKey, keyName: 'registration', expiry: 1_000_000_000 }),
      signToken({ resource, key: primaryKey, keyName: 'provisioningserviceowner' }),
      signToken({ resource: emulator.host, key: emulator.policyKey, keyName: 'provisioningserviceowner' }),
      'SharedAccessSignature',
      '',
    ];
    for (const authorization of wrong) {
      const reply = await tryRegister('dev-1', authorization);
      expect([reply.status, Math.floor(reply.json.errorCode / 1000)]).toEqual([401, 401]);
      expect(reply.json.trackingId).toBe(reply.headers['x-ms-request-id']);
    }
    expect((await register(emulator, 'dev-9', { key: primaryKey })).status).toBe(401);
    expect((await emulator.control('GET', 'stats')).json.registrations).toBe(0);
  });

  it('another id scope', async () => {
    const { primaryKey } = await enroll('dev-1');
    const headers = { authorization: deviceToken('0ne00FFFFFF', 'dev-1', primaryKey) };
    const reply = await emulator.raw('PUT', '/0ne00FFFFFF/registrations/dev-1/register', {
      body: {},
      headers,
    });
    expect(reply.status).toBe(401);
  });

  it('a poll with the token of another device', async () => {
    const { primaryKey } = await enroll('dev-1');
    const other = await enroll('dev-2');
    const first = await tryRegister('dev-1', deviceToken(emulator.idScope, 'dev-1', primaryKey));
    const path = `/${emulator.idScope}/registrations/dev-1/operations/${first.json.operationId}`;
    const reply = await emulator.raw('GET', path, {
      headers: { authorization: deviceToken(emulator.idScope, 'dev-2', other.primaryKey) },
    });
    expect(reply.status).toBe(401);
  });
});

it('takes the raw, unencoded token of the Node SDK', async () => {
  const { primaryKey } = await enroll('dev-1');
  const raw = signToken({
    resource: `${emulator.idScope}/registrations/dev-1`,
    key: primaryKey,
    keyName: 'registration',
  });
  expect((await tryRegister('dev-1', raw)).status).toBe(202);
});

describe('the lookup order', () => {
  it('lets an individual enrollment decide for a member of a group', async () => {
    const group = await enrollGroup('batch-1');
    const own = await enroll('dev-1', { deviceId: 'special' });
    expect((await register(emulator, 'dev-1', { key: derivedKey(group.primaryKey, 'dev-1') })).status).toBe(
      401,
    );
    const { json } = await register(emulator, 'dev-1', { key: own.primaryKey });
    expect(json.registrationState.deviceId).toBe('special');
  });

  it('stops a member at a disabled individual enrollment, until that is gone', async () => {
    const { primaryKey } = await enrollGroup('batch-1');
    const key = derivedKey(primaryKey, 'dev-1');
    await enroll('dev-1', { provisioningStatus: 'disabled' });
    const held = await register(emulator, 'dev-1', { key });
    expect(held.status).toBe(200);
    expect(held.json).toEqual({
      operationId: '',
      status: 'disabled',
      registrationState: { registrationId: 'dev-1', status: 'disabled' },
    });
    expect((await register(emulator, 'dev-2', { key: derivedKey(primaryKey, 'dev-2') })).json.status).toBe(
      'assigned',
    );
    await emulator.call('DELETE', '/enrollments/dev-1');
    expect((await register(emulator, 'dev-1', { key })).json.status).toBe('assigned');
  });

  it('does not tell a stranger that an enrollment is disabled', async () => {
    await enroll('dev-1', { provisioningStatus: 'disabled' });
    expect((await register(emulator, 'dev-1', { key: Buffer.alloc(32) })).status).toBe(401);
  });
});

it.each(['individual', 'group'])(
  'answers a disabled %s enrollment with 200 and keeps a record of it',
  async (kind) => {
    const disabled = { provisioningStatus: 'disabled' };
    const { primaryKey } =
      kind === 'group' ? await enrollGroup('batch-1', disabled) : await enroll('dev-1', disabled);
    const key = kind === 'group' ? derivedKey(primaryKey, 'dev-1') : primaryKey;
    expect((await register(emulator, 'dev-1', { key })).json.status).toBe('disabled');
    const record = (await emulator.call('GET', '/registrations/dev-1')).json;
    expect(Object.keys(record)).toEqual(['registrationId', 'status', 'lastUpdatedDateTimeUtc', 'etag']);
    expect(record.status).toBe('disabled');
  },
);
