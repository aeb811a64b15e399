import { createHmac, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { simulatedTpm } from '../../src/local/devices/simulated-tpm.ts';
import type { SoftwareTpm } from '../../src/local/devices/software-tpm.ts';
import { seal } from '../../src/local/dps/tpm-seal.ts';
import { ellipticEndorsementKey } from '../support/endorsement-key.ts';
import { deviceToken, startTestEmulator, symmetric, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;
let tpm: SoftwareTpm;
let other: SoftwareTpm;

beforeAll(async () => {
  emulator = await startTestEmulator();
  tpm = simulatedTpm('dev-1');
  other = simulatedTpm('other');
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

const enroll = (endorsementKey: string, more = {}) => {
  const attestation = { type: 'tpm', tpm: { endorsementKey } };
  return emulator.call('PUT', '/enrollments/dev-1', {
    body: { registrationId: 'dev-1', attestation, ...more },
  });
};

function start(
  keys: { endorsementKey: string; storageRootKey: string },
  authorization?: string,
  id = 'dev-1',
) {
  const { endorsementKey, storageRootKey } = keys;
  const body = { registrationId: id, tpm: { endorsementKey, storageRootKey } };
  return emulator.raw('PUT', `/${emulator.idScope}/registrations/${id}/register`, {
    body,
    headers: { authorization },
  });
}

const tokenOf = (key: Buffer) => deviceToken(emulator.idScope, 'dev-1', key);

it('challenges a device with a key that only its TPM can open, and takes the token that it signs', async () => {
  await enroll(tpm.endorsementKey);
  const challenge = await start(tpm);
  expect(challenge.status).toBe(401);
  expect(challenge.json).toEqual({
    message: 'Authorization required, resend request using supplied key',
    authenticationKey: expect.any(String),
    keyName: 'registration',
  });
  expect(Buffer.from(challenge.json.authenticationKey, 'base64')).toHaveLength(766);

  const authorization = tokenOf(tpm.activate(challenge.json.authenticationKey));
  const accepted = await start(tpm, authorization);
  expect([accepted.status, accepted.json.status]).toEqual([202, 'assigning']);
  const path = `/${emulator.idScope}/registrations/dev-1/operations/${accepted.json.operationId}`;
  const { status, json } = await emulator.raw('GET', path, { headers: { authorization } });
  expect([status, json.status]).toEqual([200, 'assigned']);
  const hubKey = tpm.activate(json.registrationState.tpm.authenticationKey);
  expect(hubKey).toHaveLength(32);
  expect((await emulator.call('GET', '/registrations/dev-1')).json).not.toHaveProperty('tpm');
});

it('cannot be opened by another TPM', async () => {
  await enroll(tpm.endorsementKey);
  const { json } = await start(tpm);
  expect(() => other.activate(json.authenticationKey)).toThrow();
});

describe('refuses', () => {
  it('an unknown registration id with 404201', async () => {
    expect((await start(tpm, undefined, 'dev-9')).json.errorCode).toBe(404201);
  });

  it('another endorsement key, and a device whose enrollment is none of a TPM', async () => {
    await enroll(tpm.endorsementKey);
    expect((await start(other)).json.errorCode).toBe(401002);
    await emulator.call('PUT', '/enrollments/dev-1', {
      body: symmetric('dev-1'),
      headers: { 'if-match': '*' },
    });
    expect((await start(tpm)).json.errorCode).toBe(401002);
  });

  it('a token of a key that was never sealed, and one of a challenge that a newer one replaced', async () => {
    await enroll(tpm.endorsementKey);
    const first = await start(tpm);
    await start(tpm);
    expect((await start(tpm, tokenOf(tpm.activate(first.json.authenticationKey)))).status).toBe(401);
    expect((await start(tpm, tokenOf(Buffer.alloc(32)))).status).toBe(401);
  });

  it('keys that are no public areas of RSA-2048, with 400', async () => {
    const elliptic = ellipticEndorsementKey();
    await enroll(elliptic);
    expect((await start({ endorsementKey: elliptic, storageRootKey: tpm.storageRootKey })).status).toBe(400);
  });

  it('an enrollment group with TPM attestation', async () => {
    const attestation = { type: 'tpm', tpm: { endorsementKey: tpm.endorsementKey } };
    const body = { enrollmentGroupId: 'g', attestation };
    expect((await emulator.call('PUT', '/enrollmentGroups/g', { body })).status).toBe(400);
  });
});

it('lets a device with another storage root key in: its owner may have changed', async () => {
  await enroll(tpm.endorsementKey);
  expect((await start({ ...tpm, storageRootKey: other.storageRootKey })).json).toHaveProperty(
    'authenticationKey',
  );
});

it('answers a disabled enrollment once the device has proved itself', async () => {
  await enroll(tpm.endorsementKey, { provisioningStatus: 'disabled' });
  const { json } = await start(tpm);
  const reply = await start(tpm, tokenOf(tpm.activate(json.authenticationKey)));
  expect([reply.status, reply.json.status]).toEqual([200, 'disabled']);
});

it('seals as a TPM accepted it', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const hex = (text: string) => Buffer.from(text, 'hex');
  const key = hex('f815877b828a531f3b9ca989f931e6709e0b7704a4a3e6dd6de863cfc14f0e0d');
  const name = hex('000b872358994d406b9176395462f0bf7572a889e97daa084ddb7a54134de64db1da');
  const blob = seal({ key: publicKey, name }, { key: publicKey, name }, key, {
    innerKey: hex('33bf6fbd7cd8379785a21e233d8e09f8'),
    seed: hex('961c771e3354a32bd4069d9d453b3f5d1f7187c763ce44ca3b969e49004804f1'),
    seedValue: hex('ce427ce2af3659ea821f351b5a9b12bcba58ed24a120042284f5f8598bb7a54a'),
    outerSeed: hex('b5012fb3e4e04665f63432e1c2cbcd49713caff7fa1abb92a5eab9dd78b0a72b'),
  }).toString('hex');
  const part1 =
    '0034002043a8f3a4a562051e7bdb8dd455d03a7d0735a116192026830a52406c53398ea6ae888fd0a7a1efba41dfb44520f0a20b419e';
  const part3 =
    '008e0020a734f53ac53f36d2cc8f5891e4f8d156b773cd654339ad626f0f873201693b3e76c014c31aebc8f825dee0f8bf490666f4ca1d83ba40ccce27b5b0b83e671d13203a22c69d78e3b02383f376bb734ed8fb9eee91bc227f4e67a8e89dbd0729fc72dab1bf0682223123f3c3398a8e86b229a01b57eea13c2ec9e105e1d2810a16e3abd7f6b586f00ec3b72725';
  const part5 =
    '00300008000b0004044000000005000b0020f55e9647199776365ae8d6a58290cf1861e9f8d8f762d935026a86600382ae41';
  expect(blob.startsWith(part1)).toBe(true);
  expect(blob).toContain(part3);
  expect(blob.endsWith(`${part5}0000`)).toBe(true);
  expect(createHmac('sha256', key).update('hello').digest('hex')).toBe(
    'd52c0429b149cf1cacd86f9b4707bffbeb8d9d3650536e62a7348d6777367187',
  );
});
