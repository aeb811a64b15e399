import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Identity, makeCertificate } from './certificates.ts';
import { register, startTestEmulator, type TestEmulator } from './harness.ts';

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

function individual(primary: Identity, more = {}) {
  const x509 = { clientCertificates: { primary: { certificate: primary.pem } } };
  return { registrationId: 'dev-1', attestation: { type: 'x509', x509 }, ...more };
}

function groupOf(signing: Identity, more = {}) {
  const x509 = { signingCertificates: { primary: { certificate: signing.pem } } };
  return { enrollmentGroupId: 'line-3', attestation: { type: 'x509', x509 }, ...more };
}

it('assigns a device whose certificate is the one of its individual enrollment', async () => {
  await emulator.call('PUT', '/enrollments/dev-1', { body: individual(leaf) });
  const reply = await register(emulator, 'dev-1', { identity: leaf });
  expect(reply.status).toBe(200);
  expect(Object.keys(reply.json.registrationState)[0]).toBe('x509');
  expect(reply.json.registrationState).toMatchObject({
    x509: {},
    registrationId: 'dev-1',
    status: 'assigned',
  });
});

it('assigns a device whose chain leads to the signing certificate of a group', async () => {
  await emulator.call('PUT', '/enrollmentGroups/line-3', { body: groupOf(intermediate) });
  const reply = await register(emulator, 'dev-1', { identity: leaf, chain: [intermediate] });
  expect(reply.status).toBe(200);
  expect(reply.json.registrationState).toMatchObject({
    x509: { enrollmentGroupId: 'line-3' },
    deviceId: 'dev-1',
  });
  const listed = await emulator.call('POST', '/registrations/line-3/query');
  expect(listed.json).toHaveLength(1);
});
