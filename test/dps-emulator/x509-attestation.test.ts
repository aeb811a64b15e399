import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Identity, makeCertificate } from './certificates.ts';
import {
  derivedKey,
  register,
  startTestEmulator,
  symmetric,
  symmetricGroup,
  type TestEmulator,
} from './harness.ts';

const dayMs = 86_400_000;

let emulator: TestEmulator;
let root: Identity;
let intermediate: Identity;
let leaf: Identity;

beforeAll(async () => {
  emulator = await startTestEmulator();
  root = await makeCertificate('CN=root', { isAuthority: true });
  intermediate = await makeCertificate('CN=line-3', { issuer: root, isAuthority: true });
  leaf = await makeCertificate('CN=dev-1', { issuer: intermediate });
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

async function enroll(certificates: { primary: Identity; secondary?: Identity }, more = {}) {
  const slots = Object.entries(certificates).map(([slot, { pem }]) => [slot, { certificate: pem }]);
  const x509 = { clientCertificates: Object.fromEntries(slots) };
  const body = { registrationId: 'dev-1', attestation: { type: 'x509', x509 }, ...more };
  expect((await emulator.call('PUT', '/enrollments/dev-1', { body })).status).toBe(200);
}

async function enrollGroup(id: string, signing: Identity, more = {}) {
  const x509 = { signingCertificates: { primary: { certificate: signing.pem } } };
  const body = { enrollmentGroupId: id, attestation: { type: 'x509', x509 }, ...more };
  expect((await emulator.call('PUT', `/enrollmentGroups/${id}`, { body })).status).toBe(200);
}

async function refused(identity: Identity, chain: Identity[] = [], id = 'dev-1') {
  const { status, json } = await register(emulator, id, { identity, chain });
  expect([status, json.errorCode]).toEqual([401, 401002]);
}

describe('an individual enrollment', () => {
  it('takes the primary and the secondary certificate, and shows an empty x509 first', async () => {
    const secondary = await makeCertificate('CN=dev-1');
    await enroll({ primary: leaf, secondary });
    for (const identity of [leaf, secondary]) {
      const { status, json } = await register(emulator, 'dev-1', { identity });
      expect(status).toBe(200);
      expect(Object.keys(json.registrationState)[0]).toBe('x509');
      expect(json.registrationState).toMatchObject({ x509: {}, registrationId: 'dev-1', status: 'assigned' });
    }
  });

  it('refuses another certificate of the same name, and a name that is not the registration id', async () => {
    await enroll({ primary: leaf });
    await refused(await makeCertificate('CN=dev-1', { issuer: intermediate }));
    await refused(leaf, [], 'dev-2');
  });

  it('refuses a device without a certificate, and any certificate over plain HTTP', async () => {
    await enroll({ primary: leaf });
    expect((await register(emulator, 'dev-1', { tls: true })).status).toBe(401);
    expect((await register(emulator, 'dev-1', {})).status).toBe(401);
  });

  it.each([
    ['expired', { notBefore: new Date(Date.now() - 2 * dayMs), notAfter: new Date(Date.now() - dayMs) }],
    [
      'not yet valid',
      { notBefore: new Date(Date.now() + dayMs), notAfter: new Date(Date.now() + 2 * dayMs) },
    ],
  ])('refuses a certificate that is %s, though it may be enrolled', async (_, dates) => {
    const identity = await makeCertificate('CN=dev-1', dates);
    await enroll({ primary: identity });
    await refused(identity);
  });
});

describe('an enrollment group', () => {
  it('takes a device whose chain leads to its signing certificate, sent or not', async () => {
    await enrollGroup('line-3', intermediate);
    for (const chain of [[], [intermediate], [intermediate, root]]) {
      const { json } = await register(emulator, 'dev-1', { identity: leaf, chain });
      expect(json.registrationState).toMatchObject({
        x509: { enrollmentGroupId: 'line-3' },
        deviceId: 'dev-1',
        status: 'assigned',
      });
    }
    expect((await emulator.call('POST', '/registrations/line-3/query')).json).toHaveLength(1);
  });

  it('takes a device whose chain leads to an authority that was uploaded', async () => {
    await emulator.control('PUT', 'certificates/root', root.pem);
    const attestation = { type: 'x509', x509: { caReferences: { primary: 'root' } } };
    await emulator.call('PUT', '/enrollmentGroups/all', { body: { enrollmentGroupId: 'all', attestation } });
    const { json } = await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate] });
    expect(json.registrationState.x509).toEqual({ enrollmentGroupId: 'all' });
    await refused(leaf);
  });

  it('is the one of the nearest certificate up the chain', async () => {
    await enrollGroup('everything', root);
    await enrollGroup('line-3', intermediate);
    const near = await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate] });
    expect(near.json.registrationState.x509.enrollmentGroupId).toBe('line-3');
    await emulator.call('DELETE', '/enrollmentGroups/line-3');
    const far = await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate] });
    expect(far.json.registrationState.x509.enrollmentGroupId).toBe('everything');
  });

  it('that is disabled stops the device; the next one up the chain does not let it in', async () => {
    await enrollGroup('everything', root);
    await enrollGroup('line-3', intermediate, { provisioningStatus: 'disabled' });
    const reply = await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate] });
    expect(reply.json.status).toBe('disabled');
  });

  it('refuses strangers, forged and broken chains, and an expired intermediate', async () => {
    await enrollGroup('line-3', intermediate);
    await refused(await makeCertificate('CN=dev-1'));
    const forged = await makeCertificate('CN=line-3', { isAuthority: true });
    await refused(await makeCertificate('CN=dev-1', { issuer: forged }), [forged]);
    await refused(await makeCertificate('CN=dev-1', { issuer: forged }), [intermediate]);
    const notAnAuthority = await makeCertificate('CN=other', { issuer: intermediate });
    await refused(await makeCertificate('CN=dev-1', { issuer: notAnAuthority }), [notAnAuthority]);
    const old = await makeCertificate('CN=old', {
      issuer: intermediate,
      isAuthority: true,
      notAfter: new Date(Date.now() - 1_000),
    });
    await refused(await makeCertificate('CN=dev-1', { issuer: old }), [old]);
  });
});

describe('a disabled individual enrollment keeps a member of a group out', () => {
  it('with its leaf certificate', async () => {
    await enrollGroup('line-3', intermediate);
    await enroll({ primary: leaf }, { provisioningStatus: 'disabled' });
    expect((await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate] })).json.status).toBe(
      'disabled',
    );
  });

  it('by a symmetric key and its registration id alone', async () => {
    await enrollGroup('line-3', intermediate);
    await emulator.call('PUT', '/enrollments/dev-1', {
      body: symmetric('dev-1', { provisioningStatus: 'disabled' }),
    });
    expect((await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate] })).json.status).toBe(
      'disabled',
    );
  });

  it('with a certificate, when the group is one of symmetric keys', async () => {
    const { json } = await emulator.call('PUT', '/enrollmentGroups/keys', { body: symmetricGroup('keys') });
    await enroll({ primary: leaf }, { provisioningStatus: 'disabled' });
    const key = derivedKey(json.attestation.symmetricKey.primaryKey, 'dev-1');
    expect((await register(emulator, 'dev-1', { key })).json.status).toBe('disabled');
  });
});

it.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'never resumes a %s session, which would lose the intermediates',
  async (version) => {
    const ca = await readFile(emulator.caCertificate, 'utf8');
    const { hostname, port } = new URL(emulator.tlsEndpoint);
    const open = (session?: Buffer) =>
      new Promise<{ socket: TLSSocket; sessions: Buffer[] }>((resolve, reject) => {
        const sessions: Buffer[] = [];
        const options = {
          host: hostname,
          port: Number(port),
          ca,
          minVersion: version,
          maxVersion: version,
          ...(session && { session }),
        };
        const socket = connect(options);
        socket.on('session', (ticket) => sessions.push(ticket));
        socket.on('error', reject);
        socket.once('data', () => resolve({ socket, sessions }));
        socket.once('secureConnect', () =>
          socket.write('GET /_emulator/stats HTTP/1.1\r\nHost: localhost\r\n\r\n'),
        );
      });
    const first = await open();
    const session = first.sessions.at(-1) ?? first.socket.getSession();
    const second = await open(session);
    expect(second.socket.isSessionReused()).toBe(false);
    for (const { socket } of [first, second]) {
      socket.destroy();
    }
  },
);

it('keeps the intermediates over many connections of one client', async () => {
  await emulator.control('PUT', 'certificates/root', root.pem);
  const attestation = { type: 'x509', x509: { caReferences: { primary: 'root' } } };
  await emulator.call('PUT', '/enrollmentGroups/all', { body: { enrollmentGroupId: 'all', attestation } });
  const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 });
  for (let round = 0; round < 3; round += 1) {
    expect(
      (await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate], agent })).json.status,
    ).toBe('assigned');
  }
});
