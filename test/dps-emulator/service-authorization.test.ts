import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { signToken, startTestEmulator, symmetric, type TestEmulator } from './harness.ts';

const owner = 'provisioningserviceowner';
const audience = 'https://azure-devices-provisioning.net';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

const stats = async () => (await emulator.control('GET', 'stats')).json;
const seconds = () => Math.floor(Date.now() / 1000);

function list(authorization: string | undefined, tls = false) {
  return emulator.raw('POST', '/enrollments/query', {
    tls,
    body: { query: '*' },
    headers: { authorization },
  });
}

function token(resource: string, more: { key?: string; keyName?: string; expiry?: number } = {}) {
  return signToken({ resource, key: emulator.policyKey, keyName: owner, ...more });
}

describe('a SAS token', () => {
  it('is checked over the resource as it was written: raw, or encoded in either case', async () => {
    const raw = emulator.host;
    const encoded = encodeURIComponent(raw);
    for (const resource of [
      raw,
      encoded,
      encoded.toLowerCase(),
      raw.replace('127.0.0.1', '127%2E0.0.1'),
      `${raw}/`,
    ]) {
      expect((await list(token(resource))).status).toBe(200);
    }
    const swapped = token(raw).replace(`sr=${raw}`, `sr=${encoded}`);
    expect((await list(swapped)).status).toBe(401);
  });

  it('takes its fields in any order', async () => {
    const fields = token(emulator.host).slice('SharedAccessSignature '.length).split('&');
    expect((await list(`SharedAccessSignature ${fields.reverse().join('&')}`)).status).toBe(200);
  });

  it('may be for the host of either endpoint, with or without the port, in any case', async () => {
    const tls = new URL(emulator.tlsEndpoint).host;
    const port = new URL(emulator.endpoint).port;
    for (const resource of [tls, tls.toUpperCase(), `localhost:${port}`, 'localhost', '127.0.0.1']) {
      expect((await list(token(resource))).status).toBe(200);
      expect((await list(token(resource), true)).status).toBe(200);
    }
  });

  it('may be for a part of the service, by whole segments of the path', async () => {
    expect((await list(token(`${emulator.host}/enrollments`))).status).toBe(200);
    expect((await list(token(`${emulator.host}/enroll`))).status).toBe(401);
    expect((await list(token(`${emulator.host}/enrollmentGroups`))).status).toBe(401);
  });

  it('is refused for another host, when it expired, with a wrong key, an unknown policy, or cut short', async () => {
    const good = token(emulator.host);
    const wrong = [
      undefined,
      '',
      'SharedAccessSignature',
      'Basic abc',
      good.slice(0, -3),
      good.replace('sig=', 'sig=x'),
      good.replace(/&se=\d+/, ''),
      good.replace(/se=\d+/, `se=${seconds() + 9_999}`),
      token('other.azure-devices-provisioning.net'),
      token(`https%3A%2F%2F${encodeURIComponent(emulator.host)}`),
      token(emulator.host, { expiry: seconds() - 1 }),
      token(emulator.host, { key: Buffer.alloc(32).toString('base64') }),
      token(emulator.host, { keyName: 'nobody' }),
    ];
    for (const authorization of wrong) {
      const reply = await list(authorization);
      expect([reply.status, reply.json.errorCode]).toEqual([401, 401000]);
      expect(reply.json.trackingId).toBe(reply.headers['x-ms-request-id']);
    }
  });

  it('stops being good when it expires, though it was seen before', async () => {
    let now = Date.now();
    const own = await startTestEmulator({ now: () => now });
    const headers = {
      authorization: signToken({
        resource: own.host,
        key: own.policyKey,
        keyName: owner,
        expiry: seconds() + 60,
      }),
    };
    const ask = () => own.raw('POST', '/enrollments/query', { body: { query: '*' }, headers });
    expect((await ask()).status).toBe(200);
    now += 61_000;
    expect((await ask()).status).toBe(401);
    await own.stop();
  });
});

describe('policies', () => {
  const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
  const policy = (rights: string[]) => [
    { keyName: 'some', primaryKey: key(1), secondaryKey: key(2), rights },
  ];
  const all = ['EnrollmentRead', 'EnrollmentWrite', 'RegistrationStatusRead', 'RegistrationStatusWrite'];
  const calls = [
    { right: 'EnrollmentRead', method: 'GET', path: '/enrollments/dev-1' },
    { right: 'EnrollmentRead', method: 'POST', path: '/enrollmentGroups/query', body: { query: '*' } },
    { right: 'EnrollmentWrite', method: 'PUT', path: '/enrollments/dev-1', body: symmetric('dev-1') },
    { right: 'EnrollmentWrite', method: 'DELETE', path: '/enrollmentGroups/x' },
    {
      right: 'EnrollmentWrite',
      method: 'POST',
      path: '/enrollments',
      body: { mode: 'create', enrollments: [symmetric('a')] },
    },
    { right: 'EnrollmentWrite', method: 'POST', path: '/enrollments/dev-1/attestationmechanism' },
    { right: 'RegistrationStatusRead', method: 'GET', path: '/registrations/dev-1' },
    { right: 'RegistrationStatusRead', method: 'POST', path: '/registrations/x/query' },
    { right: 'RegistrationStatusWrite', method: 'DELETE', path: '/registrations/dev-1' },
  ];

  it.each(calls)(
    'without $right: 403 for $method $path, and nothing happens',
    async ({ right, method, path, body }) => {
      await emulator.control('PUT', 'policies', policy(all.filter((other) => other !== right)));
      const before = await stats();
      const authorization = token(emulator.host, { key: key(1), keyName: 'some' });
      const reply = await emulator.raw(method, path, { body, headers: { authorization } });
      expect([reply.status, Math.floor(reply.json.errorCode / 1000)]).toEqual([403, 403]);
      expect(await stats()).toMatchObject({
        enrollments: before.enrollments,
        enrollmentGroups: before.enrollmentGroups,
      });
    },
  );

  it.each(calls)('with $right alone: $method $path is let through', async ({ right, method, path, body }) => {
    await emulator.control('PUT', 'policies', policy([right]));
    const authorization = token(emulator.host, { key: key(1), keyName: 'some' });
    const reply = await emulator.raw(method, path, { body, headers: { authorization } });
    expect([401, 403]).not.toContain(reply.status);
  });

  it('are good with either key, and replace what was there', async () => {
    await emulator.control('PUT', 'policies', policy(all));
    for (const byte of [1, 2]) {
      expect((await list(token(emulator.host, { key: key(byte), keyName: 'some' }))).status).toBe(200);
    }
    expect((await list(token(emulator.host))).status).toBe(401);
    await emulator.control('PUT', 'policies', [{ ...policy(all)[0], primaryKey: key(3) }]);
    expect((await list(token(emulator.host, { key: key(1), keyName: 'some' }))).status).toBe(401);
  });
});

describe('a bearer token', () => {
  const jwt = (claims: Record<string, unknown>) =>
    `Bearer ${[
      { alg: 'RS256', typ: 'JWT' },
      { aud: audience, exp: seconds() + 60, ...claims },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')}.c2lnbmF0dXJl`;

  it('is taken over HTTPS only', async () => {
    expect((await list(jwt({}), true)).status).toBe(200);
    expect((await list(jwt({}))).status).toBe(401);
  });

  it('must be well formed, timely and for DPS', async () => {
    const wrong = [
      jwt({ aud: 'https://storage.azure.com' }),
      jwt({ exp: seconds() - 1 }),
      jwt({ exp: undefined }),
      jwt({ nbf: seconds() + 600 }),
      'Bearer abc',
      'Bearer a.b.c',
      'Bearer ..',
      jwt({}).split('.').slice(0, 2).join('.'),
    ];
    for (const authorization of wrong) {
      expect((await list(authorization, true)).status).toBe(401);
    }
    expect((await list(jwt({ aud: `${audience}/` }), true)).status).toBe(200);
  });

  it('has the rights of its roles: a reader reads, but neither writes nor sees keys', async () => {
    await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
    for (const role of ['Device Provisioning Service Data Reader', '10745317-c249-44a1-a5ce-3a4353c0bbd8']) {
      const send = { tls: true, headers: { authorization: jwt({ roles: [role] }) } };
      expect((await emulator.raw('GET', '/enrollments/dev-1', send)).status).toBe(200);
      expect((await emulator.raw('POST', '/enrollments/dev-1/attestationmechanism', send)).status).toBe(403);
      expect((await emulator.raw('DELETE', '/enrollments/dev-1', send)).status).toBe(403);
    }
    const contributor = {
      tls: true,
      headers: { authorization: jwt({ roles: ['Device Provisioning Service Data Contributor'] }) },
    };
    expect((await emulator.raw('POST', '/enrollments/dev-1/attestationmechanism', contributor)).status).toBe(
      200,
    );
    const other = { tls: true, headers: { authorization: jwt({ roles: ['Something Else'] }) } };
    expect((await emulator.raw('GET', '/enrollments/dev-1', other)).status).toBe(403);
  });
});
