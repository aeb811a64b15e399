import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { type Identity, makeCertificate } from './certificates.ts';
import { startTestEmulator, symmetric, symmetricGroup, type TestEmulator } from './harness.ts';

const etagPattern = /^Ij[A-Za-z0-9+/]{47}CI=$/;
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z$/;

let emulator: TestEmulator;
let signer: Identity;
let leaf: Identity;

beforeAll(async () => {
  emulator = await startTestEmulator();
  signer = await makeCertificate('C=CZ, O="Contoso, a.s.", CN=line 3', { isAuthority: true });
  leaf = await makeCertificate('CN=dev-1', { issuer: signer });
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

describe('PUT of an enrollment', () => {
  it('answers 200 with generated keys of 64 bytes, an etag and equal timestamps', async () => {
    const { status, json, headers } = await emulator.call('PUT', '/enrollments/dev-1', {
      body: symmetric('dev-1'),
    });
    expect(status).toBe(200);
    const { primaryKey, secondaryKey } = json.attestation.symmetricKey;
    expect(Buffer.from(primaryKey, 'base64')).toHaveLength(64);
    expect(secondaryKey).not.toBe(primaryKey);
    expect(json.etag).toMatch(etagPattern);
    expect(Buffer.from(json.etag, 'base64').toString()).toMatch(
      /^"[0-9a-f]{8}-0000-0800-0000-[0-9a-f]{8}0000"$/,
    );
    expect(json.createdDateTimeUtc).toMatch(timestamp);
    expect(json.lastUpdatedDateTimeUtc).toBe(json.createdDateTimeUtc);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(headers['strict-transport-security']).toBe('max-age=31536000; includeSubDomains');
    expect(headers['transfer-encoding']).toBe('chunked');
    expect(headers).not.toHaveProperty('etag');
    expect(headers).not.toHaveProperty('x-ms-request-id');
  });

  it('drops members that are null, but keeps a null provisioningStatus', async () => {
    const nulls = Object.fromEntries(
      [
        'deviceId',
        'capabilities',
        'reprovisionPolicy',
        'iotHubs',
        'iotHubHostName',
        'initialTwin',
        'customAllocationDefinition',
        'optionalDeviceInformation',
        'provisioningStatus',
      ].map((member) => [member, null]),
    );
    const attestation = { type: 'symmetricKey', symmetricKey: { primaryKey: null, secondaryKey: null } };
    const { json } = await emulator.call('PUT', '/enrollments/dev-1', {
      body: { registrationId: 'dev-1', ...nulls, attestation, allocationPolicy: 'static' },
    });
    expect(Object.keys(json)).toEqual([
      'registrationId',
      'attestation',
      'etag',
      'provisioningStatus',
      'createdDateTimeUtc',
      'lastUpdatedDateTimeUtc',
      'allocationPolicy',
    ]);
    expect(json.provisioningStatus).toBeNull();
    expect((await emulator.call('GET', '/enrollments/dev-1')).json.provisioningStatus).toBeNull();
  });

  it('takes an absent provisioningStatus for enabled, and invents no other default', async () => {
    const { json } = await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
    expect(json.provisioningStatus).toBe('enabled');
    for (const member of ['allocationPolicy', 'reprovisionPolicy', 'capabilities']) {
      expect(json).not.toHaveProperty(member);
    }
  });

  it('answers the members in the order of the service', async () => {
    const full = {
      customAllocationDefinition: { apiVersion: '2021-10-01', webhookUrl: 'https://example.test/allocate' },
      iotHubs: ['hub.azure-devices.net'],
      allocationPolicy: 'custom',
      reprovisionPolicy: { migrateDeviceData: false, updateHubAssignment: true },
      provisioningStatus: 'disabled',
      initialTwin: { properties: { desired: { a: 1 } }, tags: { b: 2 } },
      capabilities: { iotEdge: true },
      attestation: { type: 'symmetricKey' },
      optionalDeviceInformation: { additionalProperties: { hello: 'world' } },
      deviceId: 'device 1'.replace(' ', '-'),
      registrationId: 'dev-1',
    };
    await emulator.call('PUT', '/enrollments/dev-1', { body: full });
    const { json } = await emulator.call('GET', '/enrollments/dev-1');
    expect(Object.keys(json)).toEqual([
      'registrationId',
      'deviceId',
      'registrationState',
      'optionalDeviceInformation',
      'attestation',
      'capabilities',
      'initialTwin',
      'etag',
      'provisioningStatus',
      'reprovisionPolicy',
      'createdDateTimeUtc',
      'lastUpdatedDateTimeUtc',
      'allocationPolicy',
      'iotHubs',
      'customAllocationDefinition',
    ]);
    expect(Object.keys(json.reprovisionPolicy)).toEqual(['updateHubAssignment', 'migrateDeviceData']);
    expect(json.optionalDeviceInformation).toEqual({ additionalProperties: { hello: 'world' } });
  });

  it('passes twin content through: keys named version, count, metadata and __proto__, and nulls', async () => {
    const tags = JSON.parse('{"version":null,"count":3,"metadata":{"x":null},"__proto__":{"y":1},"ž":"☃"}');
    await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1', { initialTwin: { tags } }) });
    const { text } = await emulator.call('GET', '/enrollments/dev-1');
    expect(text).toContain(`"initialTwin":{"tags":${JSON.stringify(tags)}}`);
  });

  it('compares enum values without regard to case and answers in the casing of the specification', async () => {
    const body = symmetric('dev-1', { allocationPolicy: 'GEOLATENCY', provisioningStatus: 'Disabled' });
    const { json } = await emulator.call('PUT', '/enrollments/dev-1', { body });
    expect(json).toMatchObject({ allocationPolicy: 'geoLatency', provisioningStatus: 'disabled' });
  });

  it('accepts static without a hub, and custom with a webhook that nobody serves', async () => {
    const definition = { webhookUrl: 'https://nobody.invalid/api?code=secret', apiVersion: '2019-03-31' };
    const custom = symmetric('dev-2', { allocationPolicy: 'custom', customAllocationDefinition: definition });
    const first = await emulator.call('PUT', '/enrollments/dev-1', {
      body: symmetric('dev-1', { allocationPolicy: 'static' }),
    });
    const second = await emulator.call('PUT', '/enrollments/dev-2', { body: custom });
    expect([first.status, second.status]).toEqual([200, 200]);
  });
});

describe('keys', () => {
  it('come from PUT and the attestation mechanism only', async () => {
    const put = await emulator.call('PUT', '/enrollmentGroups/batch-1', { body: symmetricGroup('batch-1') });
    const { symmetricKey } = put.json.attestation;
    const get = await emulator.call('GET', '/enrollmentGroups/batch-1');
    const query = await emulator.call('POST', '/enrollmentGroups/query', { body: { query: 'SELECT *' } });
    const mechanism = await emulator.call('POST', '/enrollmentGroups/batch-1/attestationmechanism');
    expect(get.json.attestation).toEqual({ type: 'symmetricKey' });
    expect(query.json[0].attestation).toEqual({ type: 'symmetricKey' });
    expect(mechanism.json).toEqual({ type: 'symmetricKey', symmetricKey });
  });

  it('are generated anew by an update that leaves them out', async () => {
    const put = await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
    const again = await emulator.call('PUT', '/enrollments/dev-1', {
      body: symmetric('dev-1'),
      headers: { 'if-match': '*' },
    });
    expect(again.json.attestation.symmetricKey).not.toEqual(put.json.attestation.symmetricKey);
  });

  it('of a TPM are shown by GET, queries and the attestation mechanism', async () => {
    const attestation = { type: 'tpm', tpm: { endorsementKey: endorsementKeyOf('dev') } };
    await emulator.call('PUT', '/enrollments/dev-1', { body: { registrationId: 'dev-1', attestation } });
    expect((await emulator.call('GET', '/enrollments/dev-1')).json.attestation).toEqual(attestation);
    expect((await emulator.call('POST', '/enrollments/dev-1/attestationmechanism')).json).toEqual(
      attestation,
    );
    const query = await emulator.call('POST', '/enrollments/query', { body: { query: '*' } });
    expect(query.json[0].attestation).toEqual(attestation);
  });
});

describe('certificates', () => {
  it.each([
    ['PEM', (identity: Identity) => identity.pem],
    ['base64 of DER', (identity: Identity) => identity.certificate.toString('base64')],
  ])('given as %s are shown as info from the DER', async (_, text) => {
    const x509 = { signingCertificates: { primary: { certificate: text(signer) }, secondary: null } };
    const body = { enrollmentGroupId: 'line-3', attestation: { type: 'x509', x509 } };
    const put = await emulator.call('PUT', '/enrollmentGroups/line-3', { body });
    const parsed = new X509Certificate(signer.pem);
    const info = {
      subjectName: 'CN=line 3, O="Contoso, a.s.", C=CZ',
      sha1Thumbprint: parsed.fingerprint.replaceAll(':', ''),
      sha256Thumbprint: parsed.fingerprint256.replaceAll(':', ''),
      issuerName: 'CN=line 3, O="Contoso, a.s.", C=CZ',
      notBeforeUtc: `${signer.certificate.notBefore.toISOString().slice(0, 19)}Z`,
      notAfterUtc: `${signer.certificate.notAfter.toISOString().slice(0, 19)}Z`,
      serialNumber: parsed.serialNumber.toUpperCase(),
      version: 3,
    };
    expect(put.json.attestation).toEqual({
      type: 'x509',
      x509: { signingCertificates: { primary: { info } } },
    });
    expect(put.text).not.toContain('BEGIN CERTIFICATE');
    expect(info.sha256Thumbprint).toMatch(/^[0-9A-F]{64}$/);
  });

  it('stay when an update sends the info of a GET back, and go when it leaves them out', async () => {
    const other = await makeCertificate('CN=dev-1', { issuer: signer });
    const x509 = {
      clientCertificates: { primary: { certificate: leaf.pem }, secondary: { certificate: other.pem } },
    };
    await emulator.call('PUT', '/enrollments/dev-1', {
      body: { registrationId: 'dev-1', attestation: { type: 'x509', x509 } },
    });
    const before = (await emulator.call('GET', '/enrollments/dev-1')).json;
    const again = await emulator.call('PUT', '/enrollments/dev-1', {
      body: before,
      headers: { 'if-match': before.etag },
    });
    expect(again.json.attestation).toEqual(before.attestation);

    const { secondary } = before.attestation.x509.clientCertificates;
    const slots = { clientCertificates: { primary: null, secondary } };
    const body = { registrationId: 'dev-1', attestation: { type: 'x509', x509: slots } };
    const removed = await emulator.call('PUT', '/enrollments/dev-1', { body, headers: { 'if-match': '*' } });
    expect(removed.json.attestation.x509.clientCertificates).toEqual({ primary: null, secondary });
  });

  it('are refused as info alone where there was no such certificate', async () => {
    const x509 = { clientCertificates: { primary: { info: { sha256Thumbprint: 'AB' } } } };
    const reply = await emulator.call('PUT', '/enrollments/dev-1', {
      body: { registrationId: 'dev-1', attestation: { type: 'x509', x509 } },
    });
    expect(reply.status).toBe(400);
  });

  it('of authorities are referred to by name once they were uploaded', async () => {
    const body = {
      enrollmentGroupId: 'line-3',
      attestation: { type: 'x509', x509: { caReferences: { primary: 'contoso-root' } } },
    };
    expect((await emulator.call('PUT', '/enrollmentGroups/line-3', { body })).status).toBe(400);
    expect((await emulator.control('PUT', 'certificates/contoso-root', signer.pem)).status).toBe(204);
    const put = await emulator.call('PUT', '/enrollmentGroups/line-3', { body });
    expect(put.json.attestation).toEqual(body.attestation);
  });
});

describe('GET of an enrollment', () => {
  it('has the registrationState, which PUT and queries have not', async () => {
    const put = await emulator.call('PUT', '/enrollments/Dev-1', {
      body: symmetric('Dev-1', { deviceId: 'd' }),
    });
    const get = await emulator.call('GET', '/enrollments/Dev-1');
    const query = await emulator.call('POST', '/enrollments/query', { body: { query: 'SELECT *' } });
    expect(get.json.registrationState).toEqual({ registrationId: 'Dev-1', status: 'unassigned' });
    expect(put.json).not.toHaveProperty('registrationState');
    expect(query.json[0]).not.toHaveProperty('registrationState');
  });

  it('finds ids without regard to case and answers them as they were written', async () => {
    await emulator.call('PUT', '/enrollments/Dev-1', { body: symmetric('Dev-1') });
    expect((await emulator.call('GET', '/enrollments/dEV-1')).json.registrationId).toBe('Dev-1');
    expect((await emulator.call('PUT', '/enrollments/DEV-1', { body: symmetric('DEV-1') })).status).toBe(409);
  });
});

describe('quirks of real clients', () => {
  it('a trailing slash, lower-case paths and percent-encoding', async () => {
    const bulk = await emulator.call('POST', '/enrollments/', {
      body: { mode: 'create', enrollments: [symmetric('a:b')] },
    });
    expect(bulk.json).toEqual({ errors: [], isSuccessful: true });
    expect((await emulator.call('GET', '/ENROLLMENTS/a%3Ab/')).status).toBe(200);
    await emulator.call('PUT', '/enrollmentgroups/batch-1', { body: symmetricGroup('batch-1') });
    expect((await emulator.call('POST', '/enrollmentgroups/batch-1/attestationmechanism')).status).toBe(200);
  });

  it('a GET with a body, and a POST without a body or content type', async () => {
    await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
    expect((await emulator.call('GET', '/enrollments/dev-1', { body: {} })).status).toBe(200);
    const bare = { headers: { 'content-length': '0', accept: undefined } };
    expect((await emulator.call('POST', '/enrollments/dev-1/attestationmechanism', bare)).status).toBe(200);
  });

  it('an odd Content-Encoding, which is not decoded', async () => {
    const headers = { 'content-encoding': 'utf-8' };
    expect(
      (await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1'), headers })).status,
    ).toBe(200);
  });
});

it('answers the same enrollment to each api-version, and hides credentialPolicyName from those that do not know it', async () => {
  const body = symmetric('dev-1', { deviceId: 'd-1', credentialPolicyName: 'policy-1' });
  const preview = { version: '2025-07-01-preview' };
  expect(
    (await emulator.call('PUT', '/enrollments/dev-1', { body, ...preview })).json.credentialPolicyName,
  ).toBe('policy-1');
  const { json } = await emulator.call('GET', '/enrollments/dev-1', preview);
  expect(Object.keys(json).slice(0, 4)).toEqual([
    'registrationId',
    'deviceId',
    'credentialPolicyName',
    'registrationState',
  ]);
  for (const version of ['2019-03-31', '2021-06-01', '2021-10-01']) {
    const old = (await emulator.call('GET', '/enrollments/dev-1', { version })).json;
    expect(old).toEqual({ ...json, credentialPolicyName: undefined });
    const listed = await emulator.call('POST', '/enrollments/query', { version, body: { query: '*' } });
    expect(listed.json[0]).not.toHaveProperty('credentialPolicyName');
  }
  const ignored = await emulator.call('PUT', '/enrollments/dev-2', {
    body: symmetric('dev-2', { credentialPolicyName: 'x' }),
  });
  expect(ignored.json).not.toHaveProperty('credentialPolicyName');
});
