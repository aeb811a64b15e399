import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueCertificate } from '../../src/local/demo/demo-authority.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';

interface Case {
  readonly what: string;
  readonly reason: string;
  readonly pointer: string;
  event(): TestEvent | Promise<TestEvent>;
}

const without = (given: TestEvent, name: keyof TestEvent): TestEvent => {
  const { [name]: _, ...rest } = given;
  return rest as TestEvent;
};
const x509 = (subject: string, certificate: string) =>
  event('device.manufactured', subject, { product: 'gateway-x', attestation: { type: 'x509', certificate } });
const validity = (from: string, to: string) => ({ notBefore: new Date(from), notAfter: new Date(to) });

const cases: Case[] = [
  {
    what: 'no source',
    reason: 'not-a-cloudevent',
    pointer: '/source',
    event: () => without(manufactured('thermostat-b1'), 'source'),
  },
  {
    what: 'no id',
    reason: 'not-a-cloudevent',
    pointer: '/id',
    event: () => without(manufactured('thermostat-b1'), 'id'),
  },
  {
    what: 'no subject',
    reason: 'not-a-cloudevent',
    pointer: '/subject',
    event: () => without(manufactured('thermostat-b1'), 'subject'),
  },
  {
    what: 'no time',
    reason: 'not-a-cloudevent',
    pointer: '/time',
    event: () => without(manufactured('thermostat-b1'), 'time'),
  },
  {
    what: 'a time that is none',
    reason: 'not-a-cloudevent',
    pointer: '/time',
    event: () => manufactured('thermostat-b1', {}, { time: '2026-02-30T00:00:00Z' }),
  },
  {
    what: 'specversion 0.3',
    reason: 'not-a-cloudevent',
    pointer: '/specversion',
    event: () => ({ ...manufactured('thermostat-b1'), specversion: '0.3' as '1.0' }),
  },
  {
    what: 'an unknown type',
    reason: 'unknown-type',
    pointer: '/type',
    event: () => event('device.exploded', 'thermostat-b1'),
  },
  {
    what: 'a time in the future',
    reason: 'time-in-future',
    pointer: '/time',
    event: () => manufactured('thermostat-b1', {}, { minutesAgo: -60 }),
  },
  {
    what: 'a foreign content type',
    reason: 'invalid-data',
    pointer: '/datacontenttype',
    event: () => ({ ...manufactured('thermostat-b1'), datacontenttype: 'text/xml' }) as TestEvent,
  },
  {
    what: 'no data',
    reason: 'invalid-data',
    pointer: '/data',
    event: () => event('device.manufactured', 'thermostat-b1'),
  },
  {
    what: 'no product',
    reason: 'invalid-data',
    pointer: '/data/product',
    event: () => event('device.manufactured', 'thermostat-b1', {}),
  },
  {
    what: 'tags that are a text',
    reason: 'invalid-data',
    pointer: '/data/tags',
    event: () => manufactured('thermostat-b1', { tags: 'x' }),
  },
  {
    what: 'an unknown product',
    reason: 'unknown-product',
    pointer: '/data/product',
    event: () => manufactured('thermostat-b1', { product: 'toaster' }),
  },
  {
    what: 'a registration id with a space',
    reason: 'invalid-registration-id',
    pointer: '/subject',
    event: () => manufactured('thermostat b1'),
  },
  {
    what: 'a registration id of 129 characters',
    reason: 'invalid-registration-id',
    pointer: '/subject',
    event: () => manufactured('x'.repeat(129)),
  },
  {
    what: 'a batch id with a slash',
    reason: 'invalid-batch-id',
    pointer: '/subject',
    event: () => event('batch.held', 'a/b'),
  },
  {
    what: 'a batch of devices of their own',
    reason: 'wrong-enrollment-kind',
    pointer: '/data/product',
    event: () => event('batch.started', 'b-1', { product: 'thermostat-g2' }),
  },
  {
    what: 'a member without its batch',
    reason: 'invalid-data',
    pointer: '/data/batch',
    event: () => event('device.manufactured', 'beacon-b1', { product: 'beacon-b2' }),
  },
  {
    what: 'a member in a batch with a bad id',
    reason: 'invalid-batch-id',
    pointer: '/data/batch',
    event: () => event('device.manufactured', 'beacon-b1', { product: 'beacon-b2', batch: 'a b' }),
  },
  {
    what: 'tags for a member',
    reason: 'not-per-device',
    pointer: '/data/tags',
    event: () => event('device.manufactured', 'beacon-b1', { product: 'beacon-b2', batch: 'b', tags: {} }),
  },
  {
    what: 'a TPM for a thermostat',
    reason: 'invalid-attestation',
    pointer: '/data/attestation/type',
    event: () => manufactured('thermostat-b1', { attestation: { type: 'tpm', endorsementKey: 'AToAAQ==' } }),
  },
  {
    what: 'an endorsement key that is not base64',
    reason: 'invalid-attestation',
    pointer: '/data/attestation/endorsementKey',
    event: () =>
      event('device.manufactured', 'meter-b1', {
        product: 'meter-e1',
        attestation: { type: 'tpm', endorsementKey: 'no!' },
      }),
  },
  {
    what: 'a meter without its TPM',
    reason: 'invalid-attestation',
    pointer: '/data/attestation',
    event: () => event('device.manufactured', 'meter-b1', { product: 'meter-e1' }),
  },
  {
    what: 'a symmetric key of 8 bytes',
    reason: 'invalid-attestation',
    pointer: '/data/attestation/primaryKey',
    event: () =>
      manufactured('thermostat-b1', {
        attestation: {
          type: 'symmetricKey',
          primaryKey: 'AAAAAAAAAAA=',
          secondaryKey: Buffer.alloc(16).toString('base64'),
        },
      }),
  },
  {
    what: 'a certificate that does not parse',
    reason: 'invalid-attestation',
    pointer: '/data/attestation/certificate',
    event: () => x509('gateway-b1', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'),
  },
  {
    what: 'an expired certificate',
    reason: 'certificate-expired',
    pointer: '/data/attestation/certificate',
    event: async () =>
      x509(
        'gateway-b1',
        (await issueCertificate('gateway-b1', { validity: validity('2020-01-01', '2021-01-01') }))
          .certificate,
      ),
  },
  {
    what: 'a certificate of the future',
    reason: 'certificate-not-yet-valid',
    pointer: '/data/attestation/certificate',
    event: async () =>
      x509(
        'gateway-b1',
        (await issueCertificate('gateway-b1', { validity: validity('2050-01-01', '2051-01-01') }))
          .certificate,
      ),
  },
  {
    what: "another device's certificate",
    reason: 'certificate-name-mismatch',
    pointer: '/data/attestation/certificate',
    event: async () => x509('gateway-b1', (await issueCertificate('gateway-b2')).certificate),
  },
  {
    what: "a batch with a leaf for its authority's certificate",
    reason: 'certificate-not-a-ca',
    pointer: '/data/attestation/signingCertificate',
    event: async () =>
      event('batch.started', 'b-2', {
        product: 'sensor-t1',
        attestation: { type: 'x509', signingCertificate: (await issueCertificate('leaf')).certificate },
      }),
  },
];

describe('bad input', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start();
  });
  afterAll(() => chain?.close());

  it.each(cases)('over HTTP, $what is a 400 with $reason at $pointer, and nothing is kept', async (each) => {
    const bad = await each.event();
    const good = manufactured('thermostat-never');
    const response = await chain.post([good, bad]);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    const problem = (await response.json()) as { errors: object[] };
    expect(problem.errors).toEqual([
      { index: 1, pointer: each.pointer, reason: each.reason, detail: expect.stringMatching(/\w/) },
    ]);
    expect((await chain.request(`/api/devices/thermostat-never/events/${keyOf(good)}`)).status).toBe(404);
  });

  it('from the queue, each of them is rejected on its first delivery, with reason and pointer, and kept for replay', async () => {
    const sent = await Promise.all(
      cases.map(async (each) => ({ ...each, body: { ...(await each.event()), marker: each.what } })),
    );
    await chain.sendToQueue(sent.map(({ body }) => body));
    const rejected = await eventually(async () => {
      const page = await chain.json<{
        rejected: { key: string; reason: string; pointer: string; source?: string; id?: string }[];
      }>('/api/rejected');
      return page.rejected.length >= sent.length && page.rejected;
    }, 'all bad events are among the rejected ones');
    expect(rejected.map(({ reason, pointer }) => `${reason} ${pointer}`).sort()).toEqual(
      sent.map(({ reason, pointer }) => `${reason} ${pointer}`).sort(),
    );
    expect(chain.stack.serviceBus.counts('manufacturing-events')).toMatchObject({ active: 0, deadLetter: 0 });
    for (const { body, reason, pointer } of sent.filter(
      ({ body: { source, id, subject } }) => source && id && subject,
    )) {
      const collection = body.type.startsWith('batch') ? 'batches' : 'devices';
      const path = `/api/${collection}/${encodeURIComponent(body.subject)}/events/${keyOf(body)}`;
      expect(await chain.json(path), body.type).toMatchObject({
        status: 'rejected',
        reason,
        pointer,
        attempts: 1,
      });
    }
  });

  it.each([
    ['no JSON at all', 'hello', 'malformed-json', ''],
    ['JSON that is no object', '[1]', 'not-a-cloudevent', ''],
    [
      '65 levels of nesting',
      JSON.stringify({ data: JSON.parse(`${'['.repeat(70)}${']'.repeat(70)}`) }),
      'invalid-data',
      '',
    ],
    [
      'more than 192 KiB',
      JSON.stringify(manufactured('thermostat-big', { tags: { x: 'y'.repeat(200_000) } })),
      'too-large',
      '',
    ],
  ])('from the queue, %s is rejected', async (what, body, reason, pointer) => {
    await chain.sendToQueue([body]);
    const found = await eventually(async () => {
      const page = await chain.json<{ rejected: { reason: string; pointer: string; replayable: boolean }[] }>(
        `/api/rejected?reason=${reason}`,
      );
      return page.rejected.find((each) => each.pointer === pointer);
    }, `${what} is rejected`);
    expect(found.replayable).toBe(what === 'JSON that is no object' ? true : found.replayable);
  });

  it('refuses bodies of more than 1 MiB, batches of more than 1000 events, compression and foreign types', async () => {
    const send = (body: string, type = 'application/cloudevents+json', more = {}) =>
      chain.request('/api/events', { method: 'POST', headers: { 'content-type': type, ...more }, body });
    expect((await send(`"${'x'.repeat(1024 * 1024)}"`)).status).toBe(413);
    const many = JSON.stringify(Array.from({ length: 1_001 }, () => ({})));
    expect((await send(many, 'application/cloudevents-batch+json')).status).toBe(413);
    expect((await send('{}', 'application/cloudevents+json', { 'content-encoding': 'gzip' })).status).toBe(
      415,
    );
    expect((await send('<a/>', 'text/xml')).status).toBe(415);
    expect((await send('{', 'application/cloudevents-batch+json')).status).toBe(400);
  });

  it('wants a key', async () => {
    const response = await chain.request('/api/events', {
      method: 'POST',
      headers: { 'x-functions-key': 'wrong' },
      body: '{}',
    });
    expect(response.status).toBe(401);
  });
});
