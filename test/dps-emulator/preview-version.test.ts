import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { makeRequest } from './certificates.ts';
import { deviceToken, register, startTestEmulator, symmetric, type TestEmulator } from './harness.ts';

const version = '2025-07-01-preview';

let emulator: TestEmulator;
let key: string;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(async () => {
  await emulator.control('POST', 'reset');
  const body = symmetric('dev-1', { credentialPolicyName: 'policy-1' });
  key = (await emulator.call('PUT', '/enrollments/dev-1', { body, version })).json.attestation.symmetricKey
    .primaryKey;
});

it('answers a csr with a chain that its own authority signed: leaf first, root last', async () => {
  const { json } = await register(emulator, 'dev-1', {
    key,
    version,
    body: { csr: await makeRequest('CN=dev-1') },
  });
  const [leaf, root] = json.registrationState.issuedCertificateChain.map(
    (der: string) => new X509Certificate(Buffer.from(der, 'base64')),
  ) as [X509Certificate, X509Certificate];
  expect(leaf.subject).toBe('CN=dev-1');
  expect(leaf.ca).toBe(false);
  expect(leaf.checkIssued(root) && leaf.verify(root.publicKey)).toBe(true);
  expect(root.checkIssued(root) && root.ca).toBe(true);
});

it('does not repeat the chain in the status lookup, where a csr is refused', async () => {
  const csr = await makeRequest('CN=dev-1');
  await register(emulator, 'dev-1', { key, version, body: { csr } });
  const headers = { authorization: deviceToken(emulator.idScope, 'dev-1', key) };
  const path = `/${emulator.idScope}/registrations/dev-1`;
  const lookup = await emulator.raw('POST', path, { headers, version, body: { registrationId: 'dev-1' } });
  expect(lookup.json).not.toHaveProperty('issuedCertificateChain');
  expect((await emulator.raw('POST', path, { headers, version, body: { csr } })).status).toBe(400);
});

it('refuses a csr of another name, one that is damaged, and one that is none; nothing is registered', async () => {
  const good = await makeRequest('CN=dev-1');
  const damaged = Buffer.from(good, 'base64');
  damaged[damaged.length - 5]! ^= 1;
  for (const csr of [await makeRequest('CN=dev-2'), damaged.toString('base64'), 'AAAA', '%', 7]) {
    expect((await register(emulator, 'dev-1', { key, version, body: { csr } })).status).toBe(400);
  }
  expect((await emulator.control('GET', 'stats')).json.registrations).toBe(0);
});

it('ignores a csr in older versions', async () => {
  const { status, json } = await register(emulator, 'dev-1', { key, body: { csr: 'nonsense' } });
  expect(status).toBe(200);
  expect(json.registrationState).not.toHaveProperty('issuedCertificateChain');
});
