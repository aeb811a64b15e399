import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { keptBody } from '../../src/enrollment/rejected/kept-body.ts';
import { makeAnyCertificate, pemOf } from '../support/any-certificate.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { event, manufactured } from '../support/events.ts';

const key = createHash('sha256').update('canary').digest('base64');
const privateKey = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
const privatePem = String(privateKey.export({ format: 'pem', type: 'pkcs8' }));
const privateDer = Buffer.from(privateKey.export({ format: 'der', type: 'pkcs8' })).toString('base64');
const certificate = makeAnyCertificate({ name: 'gateway-1' }).pem;
const keys = { type: 'symmetricKey', primaryKey: key, secondaryKey: key };
const withKeys = manufactured('thermostat-1', { attestation: keys });
const x509 = (more: object) => ({ attestation: { type: 'x509', certificate, ...more } });

/** Ways in which a key has been seen to come. */
const hidden: [string, unknown][] = [
  ['data as JSON text', { ...withKeys, data: JSON.stringify(withKeys.data) }],
  ['the attestation as JSON text', manufactured('thermostat-1', { attestation: JSON.stringify(keys) })],
  ['an array with the event as text', [JSON.stringify(withKeys)]],
  ['the event encoded three times', JSON.stringify(JSON.stringify(withKeys))],
  [
    'an object in the key’s place',
    manufactured('t', { attestation: { ...keys, primaryKey: { value: key } } }),
  ],
  ['another spelling', manufactured('t', { attestation: { type: 'symmetricKey', primary_key: key } })],
  ['key', manufactured('t', { key })],
  ['keys', manufactured('t', { keys: [key, key] })],
  ['symmetricKey', manufactured('t', { symmetricKey: { primary: key } })],
  ['an extension attribute', { ...manufactured('t'), devicekey: key }],
  [
    'base64 outside data_base64',
    { ...manufactured('t'), payload: Buffer.from(JSON.stringify(withKeys)).toString('base64') },
  ],
  ['a member’s name', manufactured('t', { tags: { [key]: 1 } })],
  ['a connection string', manufactured('t', { tags: { hub: `HostName=x;SharedAccessKey=${key}` } })],
  ['bytes', manufactured('t', { secretBytes: [...randomBytes(32)] })],
  ['a short password', manufactured('t', { desired: { wifiPassword: 'hunter2' } })],
  ['a private key in place of a certificate', manufactured('t', x509({ certificate: privatePem }))],
  ['its DER', manufactured('t', x509({ certificate: privateDer }))],
  [
    'a private key behind the certificate',
    manufactured('t', x509({ certificate: certificate + privatePem })),
  ],
  [
    'a private key in DER behind the certificate',
    manufactured('t', x509({ certificate: certificate + privateDer })),
  ],
  ['a private key beside the certificate', manufactured('t', x509({ privateKey: privatePem }))],
  [
    'a private key as another kind of PEM',
    manufactured('t', x509({ signingCertificate: pemOf(Buffer.from(privateDer, 'base64'), 'CERTIFICATE') })),
  ],
  [
    'an endorsement key that is none',
    manufactured('t', { attestation: { type: 'tpm', endorsementKey: key } }),
  ],
  ['a reason', event('device.held', 't', { reason: `see ${key}` })],
];

function formsOf(base64: string): string[] {
  const bytes = Buffer.from(base64, 'base64');
  const forms = [base64, bytes.toString('base64url'), bytes.toString('hex'), base64.slice(0, 16)];
  return [...forms, JSON.stringify([...bytes]).slice(1, -1)];
}

describe('Of a rejected event', () => {
  it.each(hidden)('nothing but length and hash is kept where a key may be: %s', (_what, sent) => {
    const text = JSON.stringify(sent);
    const { body, why } = keptBody(text);
    expect(why).toContain('secret');
    expect(JSON.parse(body)).toEqual({
      length: Buffer.byteLength(text),
      sha256: createHash('sha256').update(text).digest('hex'),
    });
  });

  it.each([
    ['as it is', JSON.stringify(withKeys)],
    ['encoded twice', JSON.stringify(JSON.stringify(withKeys))],
    [
      'in data_base64',
      JSON.stringify({
        ...withKeys,
        data: undefined,
        data_base64: Buffer.from(JSON.stringify(withKeys.data)).toString('base64'),
      }),
    ],
  ])('the keys in their place are taken out, and all else is kept: %s', (_what, text) => {
    const { body, why } = keptBody(text);
    expect(why).toBe('its keys were removed');
    expect(JSON.parse(body)).toEqual({
      ...withKeys,
      data: { product: 'thermostat-g2', attestation: { type: 'symmetricKey' } },
    });
  });

  it.each([
    [
      'a thermostat',
      manufactured('thermostat-000042', { batch: '2026-W47-L3', tags: { plant: 'brno', line: 3 } }),
    ],
    ['a gateway with its certificate', manufactured('gateway-1', x509({}))],
    [
      'a meter with its endorsement key',
      manufactured('m', { attestation: { type: 'tpm', endorsementKey: endorsementKeyOf(1) } }),
    ],
    [
      'a hold with its reason',
      event('device.held', 'thermostat-1', { reason: 'Firmware 2.1.7 fails test 14 at station 3.' }),
    ],
    [
      'ids like UUIDs and ULIDs',
      {
        ...manufactured('t'),
        id: '01J9ZQ4T5V8W6X7Y0A1B2C3D4E',
        correlation: '550e8400-e29b-41d4-a716-446655440000',
      },
    ],
    ['an ICCID as text', manufactured('t', { labels: { iccid: '8949020000123456789', order: '450017' } })],
  ])('the body stays as it came, for replay: %s', (_what, sent) => {
    const text = JSON.stringify(sent);
    expect(keptBody(text)).toEqual({ body: text });
  });

  it('no random key is kept, in whatever form, under whatever name', () => {
    for (let round = 0; round < 2_000; round++) {
      const secret = randomBytes([16, 24, 32, 48, 64][round % 5]!).toString('base64');
      for (const form of formsOf(secret).filter((each) => each.length > 16)) {
        const { body } = keptBody(JSON.stringify(manufactured('t', { labels: { note: form } })));
        expect(body).not.toContain(form.slice(0, 16));
      }
    }
  });
});
