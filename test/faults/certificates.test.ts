import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ec256, makeCertificate, rsa } from '../dps-client/certificates.ts';
import { Chain } from '../support/chain.ts';
import { event, keyOf, type TestEvent } from '../support/events.ts';

const day = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * day);
const pem = async (request: Parameters<typeof makeCertificate>[0]) => (await makeCertificate(request)).pem;

interface Case {
  readonly what: string;
  readonly ends: object;
  certificate(id: string): Promise<string>;
}

const cases: readonly Case[] = [
  {
    what: 'expired',
    ends: { status: 'rejected', reason: 'certificate-expired' },
    certificate: (id) => pem({ name: `CN=${id}`, notBefore: inDays(-20), notAfter: inDays(-1) }),
  },
  {
    what: 'not yet valid',
    ends: { status: 'rejected', reason: 'certificate-not-yet-valid' },
    certificate: (id) => pem({ name: `CN=${id}`, notBefore: inDays(1), notAfter: inDays(20) }),
  },
  {
    what: 'about to expire',
    ends: { status: 'succeeded', warnings: ['certificate-expires-soon'] },
    certificate: (id) => pem({ name: `CN=${id}`, notAfter: inDays(29) }),
  },
  {
    what: 'good for more than 30 days',
    ends: { status: 'succeeded', warnings: [] },
    certificate: (id) => pem({ name: `CN=${id}`, notAfter: inDays(31) }),
  },
  {
    what: 'of an RSA key of 1024 bits',
    ends: { status: 'rejected', reason: 'certificate-weak' },
    certificate: (id) => pem({ name: `CN=${id}`, algorithm: rsa(1_024, 'SHA-256') }),
  },
  {
    what: 'signed with SHA-1',
    ends: { status: 'rejected', reason: 'certificate-weak' },
    certificate: (id) => pem({ name: `CN=${id}`, algorithm: { ...ec256, hash: 'SHA-1' } }),
  },
  {
    what: "another device's",
    ends: { status: 'rejected', reason: 'certificate-name-mismatch' },
    certificate: () => pem({ name: 'CN=gateway-other' }),
  },
  {
    what: 'a chain',
    ends: { status: 'rejected', reason: 'invalid-attestation' },
    certificate: async (id) => (await pem({ name: `CN=${id}` })) + (await pem({ name: 'CN=ca', ca: true })),
  },
  {
    what: 'garbage',
    ends: { status: 'rejected', reason: 'invalid-attestation' },
    certificate: async () => 'AAAA',
  },
];

describe('a device whose certificate is', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    chain.startInstance();
  });
  afterAll(() => chain?.close());

  const record = (sent: TestEvent) =>
    chain.instances[0]!.services.ledger.readEvent({ kind: 'device', id: sent.subject }, keyOf(sent));

  it.each(cases)('$what', async ({ what, certificate, ends }) => {
    const id = `gateway-${what.replace(/\W+/g, '-').toLowerCase()}`;
    const born = event('device.manufactured', id, {
      product: 'gateway-x',
      attestation: { type: 'x509', certificate: await certificate(id) },
    });
    await chain.settle(born);
    expect(await record(born)).toMatchObject(ends);
    expect((await chain.enrollments()).has(id)).toBe('warnings' in ends);
  });
});
