import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificate } from './certificates.ts';
import { type Reply, startTestEmulator, symmetric, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;
let before: unknown;
const stateOf = async () => {
  const query = { body: { query: '*' } };
  const lists = ['/enrollments/query', '/enrollmentGroups/query'].map((path) =>
    emulator.call('POST', path, query),
  );
  return (await Promise.all(lists)).map(({ text }) => text);
};

beforeAll(async () => {
  emulator = await startTestEmulator();
  await emulator.call('PUT', '/enrollments/there', { body: symmetric('there') });
  await emulator.call('PUT', '/enrollmentGroups/there', {
    body: { enrollmentGroupId: 'there', attestation: { type: 'symmetricKey' } },
  });
});
afterAll(() => emulator.stop());
beforeEach(async () => {
  before = await stateOf();
});

async function expectRefused(reply: Reply, status: number): Promise<void> {
  expect(reply.status).toBe(status);
  expect(reply.json).toEqual({
    errorCode: expect.any(Number),
    trackingId: reply.headers['x-ms-request-id'],
    message: expect.any(String),
    timestampUtc: expect.stringMatching(/Z$/),
  });
  expect(Math.floor(reply.json.errorCode / 1000)).toBe(status);
  expect(reply.headers['x-ms-error-code']).toBe(String(reply.json.errorCode));
  expect(await stateOf()).toEqual(before);
}

const put = (body: unknown, id = 'dev-1') => emulator.call('PUT', `/enrollments/${id}`, { body });
const keys = (primaryKey: unknown, secondaryKey: unknown) => ({
  attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } },
});
const key = (bytes: number) => Buffer.alloc(bytes, 1).toString('base64');

describe('a body', () => {
  it.each(['', '{', 'null', '[]', '7', '"text"', '{"registrationId":"dev-1",}', '\ufeff{}', '{"a":"\n"}'])(
    '%j',
    async (text) => {
      await expectRefused(await put(Buffer.from(text)), 400);
    },
  );

  it('that is not UTF-8', async () => {
    await expectRefused(await put(Buffer.from('{"registrationId":"dev-1\xff"}', 'latin1')), 400);
  });

  it('nested too deep', async () => {
    const deep = `{"registrationId":"dev-1","attestation":{"type":"symmetricKey"},"initialTwin":{"tags":${'{"a":'.repeat(90)}1${'}'.repeat(90)}}}`;
    await expectRefused(await put(Buffer.from(deep)), 400);
    await expectRefused(await put(Buffer.from('['.repeat(90_000))), 400);
  });

  it('with many brackets that are not deep is none', async () => {
    const tags = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`t${index}`, { text: '{[{[' }]),
    );
    expect((await put(symmetric('wide', { initialTwin: { tags } }), 'wide')).status).toBe(200);
    await emulator.call('DELETE', '/enrollments/wide');
  });

  it('over 96 KB, however much over', async () => {
    const tags = { text: 'x'.repeat(96 * 1024) };
    await expectRefused(await put(symmetric('dev-1', { initialTwin: { tags } })), 413);
    await expectRefused(await put(Buffer.alloc(3_000_000, 32)), 413);
  });

  it('just under 96 KB is none', async () => {
    const tags = { text: 'x'.repeat(95 * 1024) };
    expect((await put(symmetric('big', { initialTwin: { tags } }), 'big')).status).toBe(200);
    await emulator.call('DELETE', '/enrollments/big');
  });

  it.each(['text/plain', 'application/xml', undefined])('of content type %s', async (type) => {
    const body = symmetric('dev-1');
    const reply = await emulator.call('PUT', '/enrollments/dev-1', {
      body,
      headers: { 'content-type': type },
    });
    await expectRefused(reply, 415);
  });
});

describe('an enrollment', () => {
  it.each([
    ['no id', { attestation: { type: 'symmetricKey' } }],
    ['an id that is not the one in the path', symmetric('dev-2')],
    ['an id of a wrong type', symmetric(7 as never)],
    ['no attestation', { registrationId: 'dev-1' }],
    ['an attestation that is no object', { registrationId: 'dev-1', attestation: 'symmetricKey' }],
    ['attestation none', { registrationId: 'dev-1', attestation: { type: 'none' } }],
    ['an unknown attestation', { registrationId: 'dev-1', attestation: { type: 'password' } }],
    ['keys that are not base64', symmetric('dev-1', keys('%%%%', '%%%%'))],
    ['keys with white space', symmetric('dev-1', keys(` ${key(64)}`, key(64)))],
    ['keys of 15 bytes', symmetric('dev-1', keys(key(15), key(15)))],
    ['keys of 65 bytes', symmetric('dev-1', keys(key(65), key(65)))],
    ['one key', symmetric('dev-1', keys(key(64), undefined))],
    ['an empty key', symmetric('dev-1', keys('', key(64)))],
    ['keys that are no strings', symmetric('dev-1', keys(1, 2))],
    [
      'an endorsement key that is not base64',
      symmetric('dev-1', { attestation: { type: 'tpm', tpm: { endorsementKey: '%' } } }),
    ],
    ['no endorsement key', symmetric('dev-1', { attestation: { type: 'tpm', tpm: {} } })],
    [
      'a certificate that is none',
      symmetric('dev-1', {
        attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: 'AAAA' } } } },
      }),
    ],
    [
      'no certificate',
      symmetric('dev-1', { attestation: { type: 'x509', x509: { clientCertificates: {} } } }),
    ],
    ['x509 without a member', symmetric('dev-1', { attestation: { type: 'x509', x509: {} } })],
    ['an unknown allocation policy', symmetric('dev-1', { allocationPolicy: 'random' })],
    ['an unknown provisioning status', symmetric('dev-1', { provisioningStatus: 'maybe' })],
    ['a provisioning status of a wrong type', symmetric('dev-1', { provisioningStatus: true })],
    ['half a reprovision policy', symmetric('dev-1', { reprovisionPolicy: { updateHubAssignment: true } })],
    [
      'a reprovision policy of strings',
      symmetric('dev-1', { reprovisionPolicy: { updateHubAssignment: 'true', migrateDeviceData: 'true' } }),
    ],
    ['capabilities without iotEdge', symmetric('dev-1', { capabilities: {} })],
    ['a twin that is an array', symmetric('dev-1', { initialTwin: [] })],
    ['tags of a wrong type', symmetric('dev-1', { initialTwin: { tags: 'x' } })],
    ['hubs that are no names', symmetric('dev-1', { iotHubs: [1] })],
    ['a device id with a space', symmetric('dev-1', { deviceId: 'a b' })],
    ['a device id of 129 characters', symmetric('dev-1', { deviceId: 'a'.repeat(129) })],
    ['custom without a webhook', symmetric('dev-1', { allocationPolicy: 'custom' })],
    [
      'a webhook URL that is none',
      symmetric('dev-1', { customAllocationDefinition: { webhookUrl: 'x', apiVersion: '2021-10-01' } }),
    ],
    [
      'a webhook of a version too old',
      symmetric('dev-1', {
        customAllocationDefinition: { webhookUrl: 'https://a.b', apiVersion: '2017-01-01' },
      }),
    ],
  ])('with %s', async (_, body) => {
    await expectRefused(await put(body), 400);
  });

  it('with signing certificates, or a group with client certificates or one that is no authority', async () => {
    const ca = await makeCertificate('CN=ca', { isAuthority: true });
    const leaf = await makeCertificate('CN=leaf');
    const of = (member: string, { pem }: { pem: string }) => ({
      type: 'x509',
      x509: { [member]: { primary: { certificate: pem } } },
    });
    await expectRefused(await put(symmetric('dev-1', { attestation: of('signingCertificates', ca) })), 400);
    for (const attestation of [of('clientCertificates', leaf), of('signingCertificates', leaf)]) {
      const body = { enrollmentGroupId: 'g-1', attestation };
      await expectRefused(await emulator.call('PUT', '/enrollmentGroups/g-1', { body }), 400);
    }
  });
});

describe('an id', () => {
  const long = 'a'.repeat(129);
  it.each([long, 'a%20b', '%20', 'a%2Fb', '-a', 'a.', 'a_', 'caf%C3%A9', 'a%00b', "a'b", '%'])(
    '%s in the path',
    async (id) => {
      for (const kind of ['enrollments', 'enrollmentGroups']) {
        await expectRefused(await emulator.call('GET', `/${kind}/${id}`), 400);
        await expectRefused(await emulator.call('DELETE', `/${kind}/${id}`), 400);
        await expectRefused(await emulator.call('POST', `/${kind}/${id}/attestationmechanism`), 400);
      }
      await expectRefused(await emulator.call('GET', `/registrations/${id}`), 400);
    },
  );

  it('of 128 characters with every sign that is allowed is good', async () => {
    const id = `A-._:${'z'.repeat(122)}-`;
    expect((await put(symmetric(id), encodeURIComponent(id))).status).toBe(200);
    await emulator.call('DELETE', `/enrollments/${id}`);
  });
});

describe('the api-version', () => {
  it.each(['', '2018-04-01', '2021-10-1', '2099-01-01', '2021-10-01,2019-03-31'])('%j', async (version) => {
    await expectRefused(await emulator.call('GET', '/enrollments/there', { version }), 400);
    await expectRefused(
      await emulator.raw('PUT', `/${emulator.idScope}/registrations/a/register`, { version, body: {} }),
      400,
    );
  });
});

describe('paths and methods', () => {
  it.each([
    ['GET', '/', 404],
    ['GET', '/nothing', 404],
    ['GET', '/enrollments/a/b', 404],
    ['GET', '/enrollments/a/attestationmechanism/x', 404],
    ['POST', '/registrations/a/b/c', 404],
    ['GET', '//', 404],
    ['GET', '/enrollments', 405],
    ['PUT', '/enrollments', 405],
    ['PUT', '/enrollments/query', 405],
    ['POST', '/enrollments/there', 405],
    ['PATCH', '/enrollments/there', 405],
    ['OPTIONS', '/enrollments/there', 405],
    ['GET', '/registrations', 405],
    ['PUT', '/registrations/there', 405],
  ])('%s %s: %i', async (method, path, status) => {
    await expectRefused(await emulator.call(method, path), status);
  });

  it('constructor, __proto__ and the like are plain unknown names', async () => {
    for (const id of ['constructor', '__proto__', 'toString']) {
      expect([400, 404]).toContain((await emulator.call('GET', `/enrollments/${id}`)).status);
    }
    expect(
      (await emulator.call('CONSTRUCTOR' as string, '/enrollments/a').catch(() => ({ status: 400 }))).status,
    ).toBe(400);
  });
});

it('what is no HTTP at all is answered or closed, and others are served meanwhile', async () => {
  const { port, hostname } = new URL(emulator.endpoint);
  for (const text of [
    '\u0016\u0003\u0001',
    'GET\r\n\r\n',
    'GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n',
    'X'.repeat(100_000),
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.end(text));
      socket.on('error', () => {}).on('close', () => resolve());
      socket.resume();
    });
  }
  expect((await emulator.call('GET', '/enrollments/there')).status).toBe(200);
});

it('a client that goes away in the middle of its body harms nobody', async () => {
  const { port, hostname } = new URL(emulator.endpoint);
  await new Promise<void>((resolve) => {
    const head = `PUT /enrollments/dev-1?api-version=2021-10-01 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"a":`;
    const socket = connect(Number(port), hostname, () => socket.write(head, () => socket.destroy()));
    socket.on('close', () => resolve());
  });
  expect(await stateOf()).toEqual(before);
});

it('more groups than there is room for are refused, of each kind', async () => {
  const own = await startTestEmulator();
  await own.control('POST', 'seed', { groups: 100 });
  const body = { enrollmentGroupId: 'one-more', attestation: { type: 'symmetricKey' } };
  const reply = await own.call('PUT', '/enrollmentGroups/one-more', { body });
  expect([reply.status, Math.floor(reply.json.errorCode / 1000)]).toEqual([403, 403]);
  const ca = await makeCertificate('CN=ca', { isAuthority: true });
  const x509 = { signingCertificates: { primary: { certificate: ca.pem } } };
  const other = { enrollmentGroupId: 'x-1', attestation: { type: 'x509', x509 } };
  expect((await own.call('PUT', '/enrollmentGroups/x-1', { body: other })).status).toBe(200);
  const update = { enrollmentGroupId: 'seed-group-0', attestation: { type: 'symmetricKey' } };
  expect(
    (await own.call('PUT', '/enrollmentGroups/seed-group-0', { body: update, headers: { 'if-match': '*' } }))
      .status,
  ).toBe(200);
  await own.stop();
});
