import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ec256, makeCertificate, rsa } from '../dps-client/certificates.ts';
import { Chain } from '../support/chain.ts';
import { event, type TestEvent } from '../support/events.ts';

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

  const record = (sent: TestEvent) => chain.recordOf(sent);

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

  it('that of a device that has one already is refused to the second, whoever is first', async () => {
    const certificate = await pem({ name: 'CN=gateway-shared-1' });
    const born = (id: string) =>
      event('device.manufactured', id, { product: 'gateway-x', attestation: { type: 'x509', certificate } });
    const [second, first, again] = [
      born('gateway-shared-2'),
      born('gateway-shared-1'),
      born('GATEWAY-shared-1'),
    ];
    await chain.settle(second);
    await chain.settle(first);
    await chain.settle(again);
    expect(await record(second)).toMatchObject({ status: 'rejected', reason: 'certificate-name-mismatch' });
    expect(await record(first)).toMatchObject({ status: 'succeeded' });
    const enrollments = [...(await chain.enrollments()).keys()].filter((id) => id.includes('shared'));
    expect(enrollments).toEqual(['gateway-shared-1']);
  });

  it('its second certificate has to be its own, too, and may be the same as the first', async () => {
    const own = await pem({ name: 'CN=gateway-two' });
    const other = await pem({ name: 'CN=gateway-else' });
    const born = (certificate: string, secondaryCertificate: string) =>
      event('device.manufactured', 'gateway-two', {
        product: 'gateway-x',
        attestation: { type: 'x509', certificate, secondaryCertificate },
      });
    const [wrong, right] = [born(own, other), born(own, own)];
    await chain.settle(wrong, right);
    expect(await record(wrong)).toMatchObject({
      reason: 'certificate-name-mismatch',
      pointer: '/data/attestation/secondaryCertificate',
    });
    expect(await record(right)).toMatchObject({ status: 'succeeded' });
  });
});
