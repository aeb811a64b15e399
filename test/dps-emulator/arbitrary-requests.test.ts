import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deviceToken, startTestEmulator, symmetric, symmetricGroup, type TestEmulator } from './harness.ts';

const requestCount = 2_400;

let emulator: TestEmulator;
let tokens: string[];
beforeAll(async () => {
  emulator = await startTestEmulator();
  const { json } = await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
  await emulator.call('PUT', '/enrollmentGroups/batch-1', { body: symmetricGroup('batch-1') });
  tokens = [
    deviceToken(emulator.idScope, 'dev-1', json.attestation.symmetricKey.primaryKey),
    'SharedAccessSignature sr=&sig=&se=&skn=',
    'Bearer x.y.z',
  ];
});
afterAll(() => emulator.stop());

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('dev-1', 'batch-1', '', '*', '..', 'query', '__proto__', 'a'.repeat(129)),
);
const segment = text.map((value) => {
  try {
    return encodeURIComponent(value);
  } catch {
    return '%E0%A4';
  }
});
const names = fc.constantFrom(
  'enrollments',
  'enrollmentGroups',
  'registrations',
  'register',
  'operations',
  'query',
  'attestationmechanism',
  'SCOPE',
  'dev-1',
  'batch-1',
);
const path = fc.oneof(
  fc.constantFrom(
    '/enrollments',
    '/enrollments/dev-1',
    '/enrollments/dev-1/attestationmechanism',
    '/enrollments/query',
    '/enrollmentGroups',
    '/enrollmentGroups/batch-1',
    '/enrollmentGroups/query',
    '/registrations/dev-1',
    '/registrations/batch-1/query',
    '/SCOPE/registrations/dev-1/register',
    '/SCOPE/registrations/dev-1',
  ),
  fc.array(fc.oneof(names, segment), { maxLength: 6 }).map((segments) => `/${segments.join('/')}`),
);

/** JSON with the members that the service knows, holding anything. */
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(
      'symmetricKey',
      'x509',
      'tpm',
      'custom',
      'static',
      'create',
      'update',
      'delete',
      'AAAA',
      '*',
    ),
    tie('object'),
    fc.array(tie('any'), { maxLength: 3 }),
  ),
  object: fc.dictionary(
    fc.constantFrom(
      ...[
        'registrationId',
        'enrollmentGroupId',
        'deviceId',
        'attestation',
        'type',
        'symmetricKey',
        'primaryKey',
        'secondaryKey',
        'tpm',
        'endorsementKey',
      ],
      ...[
        'storageRootKey',
        'x509',
        'clientCertificates',
        'signingCertificates',
        'caReferences',
        'primary',
        'secondary',
        'certificate',
        'info',
        'sha256Thumbprint',
      ],
      ...[
        'capabilities',
        'iotEdge',
        'initialTwin',
        'tags',
        'properties',
        'desired',
        'etag',
        'provisioningStatus',
        'reprovisionPolicy',
        'allocationPolicy',
      ],
      ...[
        'iotHubs',
        'customAllocationDefinition',
        'webhookUrl',
        'apiVersion',
        'enrollments',
        'enrollmentGroups',
        'mode',
        'query',
        'payload',
        'csr',
        '__proto__',
      ],
    ),
    tie('any'),
    { maxKeys: 8 },
  ),
})).any;
const body = fc.oneof(
  value.map((json) => Buffer.from(JSON.stringify(json) ?? '')),
  fc
    .record({
      registrationId: fc.constant('dev-1'),
      attestation: fc.record(
        {
          type: fc.constantFrom('symmetricKey', 'x509', 'tpm'),
          symmetricKey: value,
          x509: value,
          tpm: value,
        },
        { requiredKeys: [] },
      ),
    })
    .chain((base) =>
      fc
        .dictionary(
          fc.constantFrom(
            'deviceId',
            'initialTwin',
            'etag',
            'iotHubs',
            'capabilities',
            'allocationPolicy',
            'provisioningStatus',
          ),
          value,
        )
        .map((more) => Buffer.from(JSON.stringify({ ...base, ...more }))),
    ),
  fc
    .record({
      mode: fc.constantFrom('create', 'update', 'updateIfMatchETag', 'delete', 'x'),
      enrollments: value,
      enrollmentGroups: value,
    })
    .map((bulk) => Buffer.from(JSON.stringify(bulk))),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);
/** What Node lets a client send in a header. */
const headerValue = fc.oneof(
  fc.string().map((raw) => raw.replace(/[^\x20-\x7e]/g, '')),
  fc.constantFrom('*', '"*"', 'application/json', '0', '1', '100', 'AAAA'),
);
const headers = fc.dictionary(
  fc.constantFrom(
    'if-match',
    'content-type',
    'x-ms-max-item-count',
    'x-ms-continuation',
    'authorization',
    'content-encoding',
    'accept',
  ),
  headerValue,
  { maxKeys: 3 },
);
const request = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE'),
  path,
  body: fc.option(body, { nil: undefined }),
  headers,
  version: fc.constantFrom(
    '2021-10-01',
    '2021-10-01',
    '2019-03-31',
    '2025-07-01-preview',
    '2025-07-01-preview',
    'x',
    '',
  ),
  identity: fc.constantFrom('owner', 'owner', 'owner', 0, 1, 2, undefined),
});

it(`takes ${requestCount.toLocaleString('en')} arbitrary requests without an error of its own`, async () => {
  await fc.assert(
    fc.asyncProperty(request, async (sent) => {
      const send = { body: sent.body, version: sent.version };
      const url = sent.path.replaceAll('SCOPE', emulator.idScope);
      const authorization = typeof sent.identity === 'number' ? { authorization: tokens[sent.identity] } : {};
      const how = sent.identity === 'owner' ? emulator.call : emulator.raw;
      const reply = await how(sent.method, url, { ...send, headers: { ...authorization, ...sent.headers } });
      expect(reply.status).toBeLessThan(500);
      if (reply.status < 400 || sent.method === 'HEAD' || reply.json?.keyName !== undefined) {
        return;
      }
      expect(Math.floor(reply.json.errorCode / 1000)).toBe(reply.status);
      expect(reply.json.trackingId).toBe(reply.headers['x-ms-request-id']);
    }),
    { numRuns: requestCount },
  );
  expect((await emulator.call('POST', '/enrollments/query', { body: { query: '*' } })).status).toBe(200);
});
