import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type AnyCertificate,
  certificatesOfAllCurves,
  makeAnyCertificate,
} from '../support/any-certificate.ts';
import { ellipticEndorsementKey, endorsementKeyOf } from '../support/endorsement-key.ts';
import { startTestEmulator, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;

beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());

const individual = (registrationId: string, certificate: string) => {
  const attestation = { type: 'x509', x509: { clientCertificates: { primary: { certificate } } } };
  return emulator.call('PUT', `/enrollments/${registrationId}`, { body: { registrationId, attestation } });
};

const group = (enrollmentGroupId: string, certificate: string) => {
  const attestation = { type: 'x509', x509: { signingCertificates: { primary: { certificate } } } };
  const path = `/enrollmentGroups/${enrollmentGroupId}`;
  return emulator.call('PUT', path, { body: { enrollmentGroupId, attestation } });
};

/** Registers as a device that presents these certificates; resolves to the status, or to the TLS failure. */
async function register(registrationId: string, leaf: AnyCertificate, chain: readonly AnyCertificate[] = []) {
  const url = new URL(
    `${emulator.tlsEndpoint}/${emulator.idScope}/registrations/${registrationId}/register?api-version=2021-10-01`,
  );
  const options = {
    method: 'PUT',
    ca: await readFile(emulator.caCertificate),
    key: leaf.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    cert: [leaf, ...chain].map(({ pem }) => pem).join(''),
    headers: { 'content-type': 'application/json' },
    agent: false as const,
  };
  return new Promise<number | string>((resolve) => {
    const request = httpsRequest(url, options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    request.end(JSON.stringify({ registrationId }));
  });
}

const onBrainpool = () => generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' });

it('registers a device whose certificate is on a Brainpool curve', async () => {
  const leaf = makeAnyCertificate({ name: 'gateway-bp1', keys: onBrainpool() });
  expect((await individual('gateway-bp1', leaf.pem)).status).toBe(200);
  expect(await register('gateway-bp1', leaf)).toBe(202);
});

it('registers a device of a group whose whole chain is on Brainpool curves', async () => {
  const root = makeAnyCertificate({ name: 'meter-ca', keys: onBrainpool(), authority: 'yes' });
  const middle = makeAnyCertificate({
    name: 'meter-line-3',
    keys: onBrainpool(),
    authority: 'yes',
    issuer: { name: 'meter-ca', privateKey: root.privateKey },
  });
  const leaf = makeAnyCertificate({
    name: 'meter-bp2',
    keys: onBrainpool(),
    issuer: { name: 'meter-line-3', privateKey: middle.privateKey },
  });
  expect((await group('bp-batch', root.pem)).status).toBe(200);
  expect(await register('meter-bp2', leaf, [middle])).toBe(202);
});

it('takes a signing certificate without any extension, as the service did, and none that says CA:FALSE', async () => {
  const root = makeAnyCertificate({ name: 'plain-ca' });
  const leaf = makeAnyCertificate({
    name: 'plain-dev',
    issuer: { name: 'plain-ca', privateKey: root.privateKey },
  });
  expect((await group('plain', root.pem)).status).toBe(200);
  expect(await register('plain-dev', leaf)).toBe(202);
  expect((await group('no-ca', makeAnyCertificate({ authority: 'no' }).pem)).status).toBe(400);
});

it('lives on, whatever curve a device presents', async () => {
  for (const { pem } of certificatesOfAllCurves('any-curve').filter((_, index) => index % 4 === 0)) {
    await emulator.call('DELETE', '/enrollments/any-curve');
    expect((await individual('any-curve', pem)).status).toBe(200);
  }
  for (const namedCurve of ['brainpoolP512t1', 'secp256k1', 'secp224r1', 'SM2', 'sect283k1']) {
    for (const paramEncoding of ['named', 'explicit'] as const) {
      const keys = generateKeyPairSync('ec', { namedCurve, paramEncoding });
      const leaf = makeAnyCertificate({ name: 'any-curve', keys });
      // OpenSSL refuses some in the handshake, on one side or the other.
      await register('any-curve', leaf).catch(() => undefined);
    }
  }
  expect((await emulator.call('GET', '/enrollments/any-curve')).status).toBe(200);
});

it('takes an endorsement key only if it is a TPM2B_PUBLIC of an RSA or ECC key', async () => {
  const enroll = async (endorsementKey: string) => {
    await emulator.call('DELETE', '/enrollments/tpm-1');
    return emulator.call('PUT', '/enrollments/tpm-1', {
      body: { registrationId: 'tpm-1', attestation: { type: 'tpm', tpm: { endorsementKey } } },
    });
  };
  for (const good of [endorsementKeyOf(1), ellipticEndorsementKey()]) {
    expect((await enroll(good)).status).toBe(200);
  }
  const info = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const bytes = Buffer.from(endorsementKeyOf(1), 'base64');
  for (const bad of [
    'AAAA',
    bytes.toString('hex'),
    Buffer.from(info.export({ format: 'der', type: 'spki' })).toString('base64'),
    Buffer.alloc(318, 7).toString('base64'),
    bytes.subarray(0, -1).toString('base64'),
    Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64'),
    bytes.subarray(2).toString('base64'),
  ]) {
    expect((await enroll(bad)).status).toBe(400);
  }
});

it('answers no page of another site, neither from the service API nor to devices', async () => {
  const leaf = makeAnyCertificate({ name: 'dev-1' });
  await individual('dev-1', leaf.pem);
  const { port } = new URL(emulator.endpoint);
  const authorization = await ownersToken();
  const statusWith = (method: string, path: string, headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, method, path: `${path}?api-version=2021-10-01` };
      httpRequest({ ...options, headers: { authorization, ...headers } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
  const enrollment = '/enrollments/dev-1';
  expect(await statusWith('GET', enrollment, {})).toBe(200);
  expect(await statusWith('GET', enrollment, { host: `localhost:${port}` })).toBe(200);
  for (const headers of [
    { host: 'rebound.example' },
    { host: `rebound.example:${port}` },
    { host: '127.0.0.1.rebound.example' },
    { origin: 'https://rebound.example' },
    { origin: 'null' },
    { host: 'rebound.example', origin: 'http://rebound.example' },
  ]) {
    expect([headers, await statusWith('GET', enrollment, headers)]).toEqual([headers, 403]);
    const attestation = `${enrollment}/attestationmechanism`;
    expect(await statusWith('POST', attestation, headers)).toBe(403);
    expect(await statusWith('PUT', `/${emulator.idScope}/registrations/dev-1/register`, headers)).toBe(403);
  }
});

/** The authorization header that the harness sends. */
async function ownersToken(): Promise<string> {
  const { signToken } = await import('./harness.ts');
  return signToken({ resource: emulator.host, key: emulator.policyKey, keyName: 'provisioningserviceowner' });
}
