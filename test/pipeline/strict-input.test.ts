import { generateKeyPairSync } from 'node:crypto';
import type { ServiceBusMessage } from '@azure/service-bus';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeAnyCertificate } from '../support/any-certificate.ts';
import { Chain, eventually } from '../support/chain.ts';
import { ellipticEndorsementKey, endorsementKeyOf } from '../support/endorsement-key.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { signedHeaders, testSecret } from '../support/webhooks.ts';

const secret = testSecret(0x61);
const structured = 'application/cloudevents+json';
const inBrno = { source: '/factories/brno/line-1' };

interface Rejected {
  readonly reason: string;
  readonly pointer: string;
  readonly detail: string;
  readonly key: string;
  readonly rejectedAt: string;
}
interface EventError {
  readonly index: number;
  readonly reason: string;
  readonly pointer: string;
  readonly detail: string;
}

let chain: Chain;
beforeAll(async () => {
  chain = await Chain.start({ env: { WEBHOOK_SECRETS_BRNO_MES: secret } });
});
afterAll(() => chain?.close());

type Body = string | Uint8Array<ArrayBuffer>;

async function http(body: Body, headers: Record<string, string> = {}) {
  const init = { method: 'POST', headers: { 'content-type': structured, ...headers }, body };
  const response = await chain.request('/api/events', init);
  const answer = (await response.json()) as { errors?: EventError[]; detail?: string; events?: object[] };
  return { status: response.status, errors: answer.errors ?? [], answer };
}

async function webhook(body: Body, headers: Record<string, string> = {}) {
  const response = await fetch(`${chain.url}/api/webhooks/brno-mes`, {
    method: 'POST',
    headers: { 'content-type': structured, ...signedHeaders(secret, body), ...headers },
    body,
  });
  const answer = (await response.json()) as { errors?: EventError[] };
  return { status: response.status, errors: answer.errors ?? [] };
}

async function queue(...messages: readonly ServiceBusMessage[]) {
  const sender = chain.serviceBus.createSender('manufacturing-events');
  for (const message of messages) {
    await sender.sendMessages(message);
  }
  await sender.close();
}

let messages = 0;

/** Sends one message and waits for the one outcome that names it. */
async function outcomeOfMessage(message: ServiceBusMessage) {
  const messageId = `strict-${process.pid}-${++messages}`;
  await queue({ contentType: structured, ...message, messageId });
  const outcome = await eventually(
    async () =>
      [...chain.listener.outcomes.values()].find(
        ({ data }) => (data as { messageId?: string }).messageId === messageId,
      ),
    `an outcome of ${messageId}`,
  );
  const counts = chain.stack.serviceBus.counts('manufacturing-events');
  expect(counts.deadLetter).toBe(0);
  return outcome as typeof outcome & { data: { messageId: string; warnings: string[]; deviceId?: string } };
}

const text = (given: unknown) => Buffer.from(JSON.stringify(given));

/** Over HTTP and over the queue the same reason and pointer, and nothing in DPS. */
async function isRefused(body: Buffer<ArrayBuffer>, reason: string, pointer: string) {
  const { status, errors } = await http(body);
  expect([status, errors[0]?.reason, errors[0]?.pointer]).toEqual([400, reason, pointer]);
  const outcome = await outcomeOfMessage({ body });
  expect([outcome.type, outcome.data.reason]).toEqual(['enrollment.rejected', reason]);
  const { rejected } = await chain.json<{ rejected: Rejected[] }>(`/api/rejected?reason=${reason}`);
  expect(rejected.find(({ key }) => key === outcome.id)?.pointer).toBe(pointer);
}

describe('Certificates', () => {
  it('on Brainpool curves are taken over HTTP, webhook and queue, from definitions and from holds', async () => {
    const certificateOf = (name: string) =>
      makeAnyCertificate({ name, keys: generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }) }).pem;
    const x509 = (name: string) => ({ attestation: { type: 'x509', certificate: certificateOf(name) } });
    const gateways = ['gateway-bp1', 'gateway-bp2'].map((name) =>
      manufactured(name, { product: 'gateway-e1', ...x509(name) }),
    );
    const held = event('device.held', 'sensor-bp3', { ...x509('sensor-bp3'), reason: 'Firmware check' });
    expect((await chain.post(gateways[0]!)).status).toBe(202);
    await chain.sendToQueue([gateways[1]!, held]);
    await chain.ended([...gateways, held]);
    for (const each of [...gateways, held]) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
    }
    const signed = manufactured('thermostat-bp4', { ...x509('thermostat-bp4') }, inBrno);
    const answer = await webhook(text(signed));
    expect([answer.status, answer.errors[0]?.reason]).toEqual([400, 'invalid-attestation']);
    expect(await chain.json('/api/devices/sensor-bp3')).toMatchObject({
      shouldBe: { holdReason: 'Firmware check' },
    });
  });

  it.each([
    ['100,000 spaces', `${' '.repeat(100_000)}!`, 'invalid-attestation'],
    ['100,000 digits', '1'.repeat(100_000), 'invalid-attestation'],
    [
      'spaces after a certificate',
      `${makeAnyCertificate({ name: 'gateway-re' }).pem}${' '.repeat(100_000)}`,
      '',
    ],
    [
      'SM2',
      makeAnyCertificate({ keys: generateKeyPairSync('ec', { namedCurve: 'SM2' }) }).pem,
      'certificate-weak',
    ],
  ])('of %s are answered at once, and nothing ends', async (_what, certificate, reason) => {
    const sent = manufactured('gateway-re', {
      product: 'gateway-e1',
      attestation: { type: 'x509', certificate },
    });
    const { status, errors } = await http(text(sent));
    if (reason === '') {
      expect(status).toBe(202);
    } else {
      expect(errors[0]).toMatchObject({ reason, pointer: '/data/attestation/certificate' });
    }
  });

  it('that authorise a batch without saying so are taken with a warning', async () => {
    const signingCertificate = makeAnyCertificate({ name: 'line-ca' }).pem;
    const attestation = { type: 'x509', signingCertificate };
    const sent = event('batch.started', 'batch-plain', { product: 'sensor-x', attestation });
    await chain.settle(sent);
    expect(chain.outcomeOf(sent)).toMatchObject({
      type: 'enrollment.succeeded',
      data: { warnings: ['certificate-not-marked-ca'] },
    });
  });
});

describe('What is nested', () => {
  const deep = (levels: number) => `${'['.repeat(levels)}1${']'.repeat(levels)}`;
  const withTags = (tags: string) =>
    JSON.stringify(manufactured('thermostat-n1', { tags: 'here' })).replace('"here"', tags);
  const objects = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`;

  it.each([
    ['5,000 arrays', Buffer.from(withTags(`{"a":${deep(5_000)}}`))],
    ['5,000 arrays, encoded twice', text(withTags(`{"a":${deep(5_000)}}`))],
    ['5,000 objects, encoded twice', text(objects)],
    ['8,000 brackets', Buffer.from(deep(8_000))],
  ])('beyond 64 levels is invalid-data: %s', async (_what, body) => {
    await isRefused(body, 'invalid-data', '');
  });

  it('in data_base64 is counted, too', async () => {
    const dataBase64 = Buffer.from(`{"product":"thermostat-g2","tags":${objects}}`).toString('base64');
    const { data: _, ...sent } = manufactured('thermostat-n2');
    await isRefused(text({ ...sent, data_base64: dataBase64 }), 'invalid-data', '/data_base64');
  });
});

describe('Attributes', () => {
  it.each(['id', 'source', 'subject', 'type'])('of 40,000 characters are refused: %s', async (name) => {
    const sent = { ...manufactured('thermostat-long'), [name]: 'x'.repeat(40_000) };
    await isRefused(text(sent), 'not-a-cloudevent', `/${name}`);
  });

  it('of 1,024 characters are taken', async () => {
    const sent = manufactured(
      'thermostat-1024',
      {},
      { id: 'i'.repeat(1_024), source: `/${'s'.repeat(1_023)}` },
    );
    await chain.settle(sent);
    expect(chain.outcomeOf(sent)?.type).toBe('enrollment.succeeded');
  });

  it('that are too long beside a product that is, are outcomes all the same', async () => {
    await isRefused(
      text(manufactured('thermostat-p', { product: 'p'.repeat(40_000) })),
      'invalid-data',
      '/data/product',
    );
  });

  it('that are missing are called missing, and all errors are told at once', async () => {
    const { time: _, ...sent } = manufactured('thermostat-all', {
      product: '',
      tags: { 'plant name': 'x', $version: 3 },
      labels: { a: 'x'.repeat(257) },
    });
    const { errors } = await http(text({ ...sent, specversion: '0.3' }));
    expect(errors.map(({ pointer, reason }) => `${pointer} ${reason}`)).toEqual([
      '/specversion not-a-cloudevent',
      '/time not-a-cloudevent',
      '/data/product invalid-data',
      '/data/labels/a invalid-data',
      '/data/tags/plant name invalid-data',
      '/data/tags/$version invalid-data',
    ]);
    expect(errors[1]?.detail).toContain('is missing');
  });
});

describe('Text that is not UTF-8', () => {
  const latin1 = (given: unknown) => Buffer.from(JSON.stringify(given), 'latin1');
  const inZurich = (subject: string) => manufactured(subject, { tags: { city: 'Zürich' } }, inBrno);

  it('is malformed-json over HTTP, webhook and queue, in any mode, and never replaced', async () => {
    await isRefused(latin1(inZurich('thermostat-l1')), 'malformed-json', '');
    expect(await webhook(latin1(inZurich('thermostat-l2')))).toMatchObject({
      status: 400,
      errors: [{ reason: 'malformed-json', pointer: '' }],
    });
    const { data, ...attributes } = inZurich('thermostat-l3');
    const applicationProperties = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`cloudEvents:${name}`, value]),
    );
    const outcome = await outcomeOfMessage({
      body: latin1(data),
      contentType: 'application/json',
      applicationProperties,
    });
    expect(outcome.data).toMatchObject({ reason: 'malformed-json', event: { id: attributes.id } });
    expect(
      (
        await http(latin1([inZurich('thermostat-l4')]), {
          'content-type': 'application/cloudevents-batch+json',
        })
      ).status,
    ).toBe(400);
    for (const id of ['thermostat-l1', 'thermostat-l2', 'thermostat-l3', 'thermostat-l4']) {
      expect((await chain.request(`/api/devices/${id}`)).status).toBe(404);
    }
  });

  it('is malformed-json behind data_base64', async () => {
    const { data, ...sent } = inZurich('thermostat-l5');
    const body = text({ ...sent, data_base64: latin1(data).toString('base64') });
    await isRefused(body, 'malformed-json', '/data_base64');
  });

  it('is a 415 where the content type says so, and malformed-json on the queue', async () => {
    const contentType = `${structured}; charset=iso-8859-1`;
    expect((await http(latin1(inZurich('thermostat-l6')), { 'content-type': contentType })).status).toBe(415);
    const outcome = await outcomeOfMessage({ body: text(inZurich('thermostat-l7')), contentType });
    expect(outcome.data.reason).toBe('malformed-json');
  });

  it('may begin with a byte order mark, and say charset=UTF-8', async () => {
    const sent = inZurich('thermostat-l8');
    const body = Buffer.concat([Buffer.from('\uFEFF'), text(sent)]);
    expect((await http(body, { 'content-type': `${structured}; charset="UTF-8"` })).status).toBe(202);
    await chain.ended([sent]);
    expect((await chain.dps.individualEnrollments.get('thermostat-l8')).initialTwin?.tags).toMatchObject({
      city: 'Zürich',
    });
  });
});

describe('Values that would be stored other than they were sent', () => {
  const withTags = (tags: string) =>
    Buffer.from(
      JSON.stringify(manufactured('thermostat-v1', { tags: {} })).replace('"tags":{}', `"tags":${tags}`),
    );

  it.each([
    ['an integer beyond 2^53 - 1', '{"iccid":8949020000123456789}', '/data/tags/iccid'],
    ['a negative one', '{"a":[{"b":-9007199254740993}]}', '/data/tags/a/0/b'],
    ['an infinite number', '{"limit":1e400}', '/data/tags/limit'],
    ['half a character', '{"name":"\\ud83d"}', '/data/tags/name'],
    ['half a character in a name', '{"\\ude00":1}', '/data/tags/\ufffd'],
    ['a number that becomes 0', '{"offset":1e-400}', '/data/tags/offset'],
    ['a member that is there twice', '{"line":{"name":"L3","name":"L4"}}', '/data/tags/line/name'],
    ['one that is written in two ways', '{"a":1,"\\u0061":2}', '/data/tags/a'],
  ])('%s is invalid-data', async (_what, tags, pointer) => {
    await isRefused(withTags(tags), 'invalid-data', pointer);
  });

  it('are found in each event of a batch', async () => {
    const bad = withTags('{"iccid":8949020000123456789}').toString();
    const body = Buffer.from(`[${JSON.stringify(manufactured('thermostat-v2'))},${bad}]`);
    const { errors } = await http(body, { 'content-type': 'application/cloudevents-batch+json' });
    expect(errors).toMatchObject([{ index: 1, reason: 'invalid-data', pointer: '/data/tags/iccid' }]);
    const twice = Buffer.from(
      `[${JSON.stringify(manufactured('thermostat-v2'))},${withTags('{"a":1,"a":2}')}]`,
    );
    const answer = await http(twice, { 'content-type': 'application/cloudevents-batch+json' });
    expect([answer.status, answer.errors]).toMatchObject([
      400,
      [{ index: 1, reason: 'invalid-data', pointer: '/data/tags/a' }],
    ]);
  });

  it('are found in data that is base64', async () => {
    const { data: _, ...plain } = manufactured('thermostat-v3');
    const json = '{"product":"thermostat-g2","batch":"b1","batch":"b2"}';
    const base64 = { ...plain, data_base64: Buffer.from(json).toString('base64') };
    await isRefused(text(base64), 'invalid-data', '/data_base64/batch');
  });
});

describe('Twin content that no IoT hub takes', () => {
  const levels = (count: number) => JSON.parse(`${'{"a":'.repeat(count)}1${'}'.repeat(count)}`);
  it.each([
    ['a dot', { 'fw.version': '1' }, '/tags/fw.version'],
    ['a space', { 'plant name': 'x' }, '/tags/plant name'],
    ['a dollar', { $version: 3 }, '/tags/$version'],
    ['a hash', { 'a#b': 3 }, '/tags/a#b'],
    ['a control character', { 'a\u0007': 3 }, '/tags/a\u0007'],
    ['a name of more than 1 KB', { ['n'.repeat(1_025)]: 1 }, '/tags/…'],
    ['12 levels', levels(12), `/tags${'/a'.repeat(11)}`],
    ['a text of 5,000 characters', { note: 'x y '.repeat(1_250) }, '/tags/note'],
    ['an integer beyond 2^52', { serial: 4_503_599_627_370_497 }, '/tags/serial'],
    [
      '9 KB of tags',
      Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`t${i}`, 'x y '.repeat(23)])),
      '/tags',
    ],
  ])('is invalid-data: %s', async (_what, tags, pointer) => {
    await isRefused(text(manufactured('thermostat-t1', { tags })), 'invalid-data', `/data${pointer}`);
  });

  it('may nest ten levels, in arrays, too, and be 32 KB of desired properties', async () => {
    const desired = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`d${i}`, 'x y '.repeat(24)]));
    const sent = manufactured('thermostat-t2', { tags: levels(10), desired });
    await chain.settle(sent);
    expect(chain.outcomeOf(sent)?.type).toBe('enrollment.succeeded');
  });
});

describe('An endorsement key', () => {
  const meter = (endorsementKey: string) =>
    manufactured('meter-ek', { product: 'meter-e1', attestation: { type: 'tpm', endorsementKey } });
  const good = Buffer.from(endorsementKeyOf('ek'), 'base64');

  it.each([
    ['three bytes', 'AAAA'],
    ['hex', good.toString('hex')],
    [
      'an SPKI',
      Buffer.from(
        generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' }),
      ).toString('base64'),
    ],
    ['a memory dump', Buffer.alloc(318, 0xa5).toString('base64')],
    ['one cut short', good.subarray(0, 300).toString('base64')],
  ])('that is none is refused: %s', async (_what, key) => {
    await isRefused(text(meter(key)), 'invalid-attestation', '/data/attestation/endorsementKey');
  });

  it('of RSA or ECC is taken', async () => {
    const sent = [good.toString('base64'), ellipticEndorsementKey()].map((endorsementKey, index) =>
      manufactured(`meter-ek-${index}`, {
        product: 'meter-e1',
        attestation: { type: 'tpm', endorsementKey },
      }),
    );
    await chain.settle(...sent);
    for (const each of sent) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
    }
  });
});

describe('An id', () => {
  it('in another spelling is the same device, in DPS and in the hub', async () => {
    const first = manufactured('SN-00B2', { product: 'thermostat-g2' });
    const second = event('device.changed', 'sn-00b2', { product: 'thermostat-g3' }, { minutesAgo: 5 });
    await chain.settle(first);
    await chain.settle(second);
    expect(await chain.dps.individualEnrollments.get('sn-00b2')).toMatchObject({ deviceId: 'SN-00B2' });
    expect(chain.outcomeOf(second)?.data).toMatchObject({ deviceId: 'SN-00B2', product: 'thermostat-g3' });
  });

  it('under a key that line feeds or a Kelvin sign cannot make another’s', async () => {
    const one = manufactured('thermostat-k1', {}, { source: '/x', id: '1\n2' });
    const two = manufactured('thermostat-k1', {}, { source: '/x\n1', id: '2', minutesAgo: 9 });
    await chain.settle(one);
    await chain.settle(two);
    for (const each of [one, two]) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
    }
    await isRefused(text(manufactured('thermostat-\u212A1')), 'invalid-registration-id', '/subject');
  });

  it('that is taken is id-reuse where somebody waits for the outcome', async () => {
    const first = manufactured('thermostat-w1');
    await chain.settle(first);
    const reuse = { ...first, data: { product: 'thermostat-g3' } };
    const { status, answer } = await http(text(reuse), { prefer: 'wait=30' });
    expect([status, answer.events]).toMatchObject([
      200,
      [{ status: 'rejected', reason: 'id-reuse', pointer: '/id' }],
    ]);
  });
});

describe('A message of the queue', () => {
  const propertiesOf = (given: TestEvent, prefix = 'cloudEvents:') =>
    Object.fromEntries(
      Object.entries(given)
        .filter(([name]) => name !== 'data')
        .map(([name, value]) => [`${prefix}${name}`, value as string]),
    );

  it('in binary mode cannot smuggle attributes in a body that is no JSON', async () => {
    const sent = manufactured('thermostat-s1');
    const outcome = await outcomeOfMessage({
      body: Buffer.from('{"product":"thermostat-g2"},"subject":"thermostat-other"'),
      contentType: 'application/json',
      applicationProperties: propertiesOf(sent),
    });
    expect(outcome.data).toMatchObject({ reason: 'malformed-json', event: { id: sent.id } });
    expect((await chain.request('/api/devices/thermostat-other')).status).toBe(404);
  });

  it.each(['application/cloudevents+json', 'Application/CloudEvents+JSON; charset=utf-8'])(
    'that says it is structured is so, whatever its properties say: %s',
    async (contentType) => {
      const sent = manufactured('thermostat-s2');
      const other = manufactured('thermostat-s3');
      const outcome = await outcomeOfMessage({
        body: text(sent),
        contentType,
        applicationProperties: propertiesOf(other),
      });
      expect(outcome.id).toBe(keyOf(sent));
    },
  );

  it.each(['application/vnd.contoso+json', 'application/ld+json', 'text/json; charset=utf-8'])(
    'in binary mode may bring data as %s, as over HTTP',
    async (contentType) => {
      const sent = manufactured('thermostat-s4', {}, { time: new Date().toISOString() });
      const outcome = await outcomeOfMessage({
        body: text(sent.data),
        contentType,
        applicationProperties: {
          ...propertiesOf(sent, 'cloudEvents_'),
          cloudEvents_time: new Date(sent.time),
        },
      });
      expect([outcome.id, outcome.type]).toEqual([keyOf(sent), 'enrollment.succeeded']);
      const { data, ...again } = manufactured('thermostat-s5');
      const headers = Object.fromEntries(Object.entries(again).map(([name, value]) => [`ce-${name}`, value]));
      expect((await http(text(data), { 'content-type': contentType, ...headers })).status).toBe(202);
      const inline = { ...manufactured('thermostat-s5'), datacontenttype: contentType };
      expect((await http(text(inline))).status).toBe(202);
    },
  );

  it('with properties of common names is not believed to know when it arrived', async () => {
    for (const firstSeen of [
      '9999-01-01T00:00:00Z',
      '2019-01-01T00:00:00Z',
      '1970-01-01T00:00:00Z',
      '+275760-09-13T00:00:00Z',
    ]) {
      for (const name of ['firstSeen', 'dpsPipelineFirstSeen']) {
        const sent = manufactured('thermostat-s6', {}, { minutesAgo: 1 });
        const outcome = await outcomeOfMessage({
          body: text(sent),
          applicationProperties: { [name]: firstSeen, attempt: 7, dpsPipelineAttempt: -1 },
        });
        expect(['enrollment.succeeded', 'enrollment.superseded']).toContain(outcome.type);
      }
    }
    const future = event('device.held', 'thermostat-s6', undefined, { minutesAgo: -60 * 24 * 365 });
    const outcome = await outcomeOfMessage({
      body: text(future),
      applicationProperties: { dpsPipelineFirstSeen: '9999-01-01T00:00:00Z' },
    });
    expect(outcome.data.reason).toBe('time-in-future');
    const { rejected } = await chain.json<{ rejected: Rejected[] }>('/api/rejected');
    expect(rejected.length).toBeGreaterThan(10);
  });
});

describe('A header of binary mode', () => {
  const headersOf = ({ data: _, ...attributes }: TestEvent, more: Record<string, string>) => ({
    'content-type': 'application/json',
    ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value])),
    ...more,
  });

  it('loses quotation marks, escapes and percent-encoding', async () => {
    const sent = manufactured('thermostat-h1', {}, { source: '/erp/line "1"/Z\u00fcrich' });
    const headers = headersOf(sent, { 'ce-source': '"/erp/line \\"1\\"/Z%C3%BCrich"' });
    expect((await http(text(sent.data), headers)).status).toBe(202);
    await chain.ended([sent]);
  });

  it('is refused where its bytes are no UTF-8', async () => {
    for (const value of ['/Z%FCrich', '/Z\u00fcrich']) {
      const headers = headersOf(manufactured('thermostat-h2'), { 'ce-source': value });
      const { status, errors } = await http(text({ product: 'thermostat-g2' }), headers);
      expect([status, errors[0]?.pointer]).toEqual([400, '/source']);
    }
  });
});

describe('An outcome', () => {
  it('can be subscribed to and matched, and knows the device', async () => {
    const labels = { plant: 'brno', order: '450017' };
    const sent = manufactured('thermostat-o1', {
      batch: '2026-W47-L3',
      labels,
      Batch: 'x',
      devcieId: 'y',
      colour: 'red',
    });
    const outcome = await outcomeOfMessage({ body: text(sent) });
    expect(outcome).toMatchObject({
      type: 'enrollment.succeeded',
      subject: 'thermostat-o1',
      data: {
        deviceId: 'thermostat-o1',
        product: 'thermostat-g2',
        batch: '2026-W47-L3',
        labels,
        warnings: [
          'unknown-member: /data/Batch (did you mean batch?)',
          'unknown-member: /data/devcieId (did you mean deviceId?)',
          'unknown-member: /data/colour',
        ],
      },
    });
    expect(chain.listener.addresses.get(outcome.id)).toEqual({
      subject: 'thermostat-o1',
      correlationId: outcome.data.messageId,
      properties: {
        status: 'succeeded',
        source: sent.source,
        product: 'thermostat-g2',
        batch: '2026-W47-L3',
      },
    });
    const held = event('device.held', 'thermostat-o1', { reason: 'Recall 7' }, { minutesAgo: 1 });
    await chain.settle(held);
    expect(chain.outcomeOf(held)?.data).toMatchObject({ product: 'thermostat-g2', labels });
  });

  it('of what is no event names its message and what could be read of it', async () => {
    const { subject: _, ...sent } = manufactured('thermostat-o2');
    const outcome = await outcomeOfMessage({ body: text(sent) });
    expect(outcome.data).toMatchObject({
      reason: 'not-a-cloudevent',
      event: { id: sent.id, source: sent.source, type: sent.type, time: sent.time },
    });
  });
});

describe('A signed sender', () => {
  it('speaks of devices of its products alone, whatever else its events say', async () => {
    const gateway = manufactured('gateway-own', {
      product: 'gateway-e1',
      attestation: { type: 'x509', certificate: makeAnyCertificate({ name: 'gateway-own' }).pem },
    });
    await chain.settle(gateway);
    const before = await chain.dps.individualEnrollments.get('gateway-own');
    const taken = event(
      'device.changed',
      'gateway-own',
      { product: 'thermostat-g2' },
      { ...inBrno, minutesAgo: 1 },
    );
    expect((await webhook(text(taken))).status).toBe(202);
    await chain.ended([taken]);
    expect(chain.outcomeOf(taken)?.data).toMatchObject({ reason: 'not-permitted' });
    expect(await chain.dps.individualEnrollments.get('gateway-own')).toEqual(before);
    const held = event('device.held', 'gateway-own', undefined, inBrno);
    expect((await webhook(text(held))).status).toBe(403);
  });
});

describe('Pages of what was rejected', () => {
  it('answer 400 to continuations that are none', async () => {
    for (const place of ['x', '9999-12-31 x', '2026-13-01 0000000000000-abc', '9999-12-31']) {
      for (const continuation of [place, Buffer.from(place).toString('base64url')]) {
        for (const path of ['/api/rejected', '/api/audit/runs', '/api/devices/thermostat-1/events']) {
          expect(
            (await chain.request(`${path}?continuation=${encodeURIComponent(continuation)}`)).status,
          ).toBe(400);
        }
      }
    }
  });

  it('know offsets: what was rejected today is since an hour ago, wherever that is said', async () => {
    const outcome = await outcomeOfMessage({
      body: text(manufactured('thermostat-r1', { product: 'toaster' })),
    });
    const local = (ms: number, hours: number) =>
      `${new Date(ms + hours * 3_600_000).toISOString().slice(0, 19)}${hours < 0 ? '-' : '+'}${String(Math.abs(hours)).padStart(2, '0')}:00`;
    for (const hours of [-12, 0, 12]) {
      const since = encodeURIComponent(local(Date.now() - 3_600_000, hours));
      const until = encodeURIComponent(local(Date.now() + 3_600_000, hours));
      const { rejected } = await chain.json<{ rejected: Rejected[] }>(
        `/api/rejected?reason=unknown-product&since=${since}&until=${until}`,
      );
      expect(rejected.some(({ key }) => key === outcome.id)).toBe(true);
    }
  });
});
