import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { certificatesOfAllCurves, makeAnyCertificate, pemOf } from './any-certificate.ts';
import { endorsementKeyOf } from './endorsement-key.ts';
import { event, manufactured } from './events.ts';

/** What strangers send: whole events, events of which something was changed, and bytes that are none. */
export function arbitraryBodies(count: number, seed: number): Buffer<ArrayBuffer>[] {
  return fc.sample(body, { numRuns: count, seed }).map((make, index) => make(index));
}

/** The same as JSON texts without line feeds, each one member of a batch. */
export function arbitraryTexts(count: number, seed: number): string[] {
  return fc.sample(mutated, { numRuns: count, seed }).map((make, index) => make(index));
}

type Make<T> = (index: number) => T;

const curves = certificatesOfAllCurves('gateway-any').map(({ pem }) => pem);
const privateKey = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
const privatePem = String(privateKey.export({ format: 'pem', type: 'pkcs8' }));

const nasty = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.nat(20_000).map((length) => ' '.repeat(length)),
  fc.integer({ min: 1, max: 200 }).map((levels) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`)),
  fc.base64String({ maxLength: 100 }),
  fc.constantFrom<unknown>(
    null,
    '',
    'x'.repeat(5_000),
    Number.MAX_SAFE_INTEGER,
    -0,
    1e-320,
    true,
    [],
    {},
    '1970-01-01T00:00:00Z',
    '9999-12-31T23:59:60.999999999Z',
    privatePem,
    '{"primaryKey":"AAAA"}',
    '../..',
    '__proto__',
  ),
  fc.constantFrom(...curves),
  fc.constantFrom(...curves).chain(withOneByteChanged),
);

function withOneByteChanged(pem: string) {
  const bytes = Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  return fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([at, value]) => {
    const changed = Buffer.from(bytes);
    changed[at] = value;
    return pemOf(changed);
  });
}

const good = fc.constantFrom<Make<Record<string, unknown>>>(
  (index) => ({ ...manufactured(`thermostat-any-${index}`, { tags: { plant: 'brno' } }) }),
  () => ({
    ...manufactured('gateway-any', {
      product: 'gateway-e1',
      attestation: { type: 'x509', certificate: makeAnyCertificate({ name: 'gateway-any' }).pem },
    }),
  }),
  (index) => ({
    ...manufactured(`meter-any-${index}`, {
      product: 'meter-e1',
      attestation: { type: 'tpm', endorsementKey: endorsementKeyOf(index) },
    }),
  }),
  (index) => ({ ...manufactured(`sensor-any-${index}`, { product: 'sensor-s1', batch: 'batch-any' }) }),
  (index) => ({
    ...event('device.held', `sensor-any-${index}`, {
      attestation: { type: 'x509', certificate: curves[index % curves.length] },
    }),
  }),
  (index) => ({ ...event('device.scrapped', `thermostat-any-${index}`) }),
  (index) => ({ ...event('batch.held', `batch-any-${index}`, { reason: 'x' }) }),
);

const members = [
  'id',
  'source',
  'type',
  'subject',
  'time',
  'specversion',
  'datacontenttype',
  'data',
  'data_base64',
  'extra',
];
const dataMembers = [
  'product',
  'batch',
  'deviceId',
  'attestation',
  'tags',
  'desired',
  'deviceInformation',
  'labels',
  'reason',
  'Batch',
];
const attestationMembers = [
  'type',
  'certificate',
  'endorsementKey',
  'primaryKey',
  'secondaryKey',
  'signingCertificate',
];
const place = fc.oneof(
  fc.constantFrom(...members).map((name) => [name]),
  fc.constantFrom(...dataMembers).map((name) => ['data', name]),
  fc.constantFrom(...attestationMembers).map((name) => ['data', 'attestation', name]),
);
const change = fc.tuple(place, nasty, fc.boolean());

/** JSON text of an event with up to three members changed, added or taken away. */
const mutated: fc.Arbitrary<Make<string>> = fc
  .tuple(
    good,
    fc.array(change, { maxLength: 3 }),
    fc.constantFrom('', 'surrogate', 'number', 'twice', 'array'),
  )
  .map(([make, changes, encoding]) => (index) => {
    const sent = structuredClone(make(index));
    for (const [path, value, isRemoved] of changes) {
      applyChange(sent, path, structuredClone(value), isRemoved && path.length > 1);
    }
    // Two messages with one id would be one event.
    if (typeof sent.id === 'string') {
      sent.id = `${sent.id.slice(0, 900)}-${index}`;
    }
    return encoded(JSON.stringify(sent), encoding, index);
  });

function applyChange(
  sent: Record<string, unknown>,
  path: readonly string[],
  value: unknown,
  isRemoved: boolean,
) {
  let target = sent;
  for (const name of path.slice(0, -1)) {
    const inner = target[name];
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) {
      target[name] = {};
    }
    target = target[name] as Record<string, unknown>;
  }
  const name = path.at(-1) ?? '';
  if (isRemoved) {
    delete target[name];
  } else {
    target[name] = value;
  }
}

function encoded(text: string, encoding: string, index: number): string {
  if (encoding === 'surrogate') {
    return text.replace('brno', `\\ud800${index}`);
  }
  if (encoding === 'number') {
    return text.replace('"brno"', `${9_007_199_254_740_993n + BigInt(index)}`);
  }
  if (encoding === 'twice') {
    return JSON.stringify(text);
  }
  return encoding === 'array' ? `[${text}]` : text;
}

/** Bytes: mostly events, some of them in other encodings, cut short, or with bytes changed; some are noise. */
const body: fc.Arbitrary<Make<Buffer<ArrayBuffer>>> = fc.oneof(
  { weight: 6, arbitrary: mutated.map((make) => (index: number) => Buffer.from(make(index))) },
  { weight: 1, arbitrary: mutated.map((make) => (index: number) => Buffer.from(make(index), 'latin1')) },
  { weight: 1, arbitrary: mutated.map((make) => (index: number) => Buffer.from(`\uFEFF${make(index)}`)) },
  { weight: 1, arbitrary: mutated.map((make) => (index: number) => Buffer.from(make(index), 'utf16le')) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(mutated, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255))
      .map(([make, at, value]) => (index: number) => {
        const bytes = Buffer.from(make(index));
        bytes[Math.floor(at * (bytes.length - 1))] = value;
        return bytes;
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(mutated, fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([make, at]) => (index: number) => {
        const bytes = Buffer.from(make(index));
        // Numbered, since two bodies that are equal are one to whoever asks what became of them.
        return Buffer.concat([bytes.subarray(0, Math.floor(at * bytes.length)), Buffer.from(` ${index}`)]);
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ maxLength: 200 })
      .map((bytes) => (index: number) => Buffer.concat([bytes, Buffer.from(`#${index}`)])),
  },
);
