import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Request } from '../../src/http/request.ts';
import { startAppProcess } from '../../src/local/stack/app-process.ts';
import { settingsFor } from '../../src/local/stack/endpoints.ts';
import { Services } from '../../src/services.ts';
import { readSettings } from '../../src/settings.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { type SignOptions, signedHeaders, testSecret } from '../support/webhooks.ts';

const [oldSecret, newSecret, strange] = [testSecret(0x5a), testSecret(0x5b), testSecret(0x5c)] as const;
const env = { WEBHOOK_SECRETS_BRNO_MES: `${oldSecret} ${newSecret}`, WEBHOOK_SECRETS_GDANSK_MES: strange };
const structured = 'application/cloudevents+json';
const batched = 'application/cloudevents-batch+json';
const inBrno = { source: '/factories/brno/line-3' };
const made = (subject: string, data: object = {}) => manufactured(subject, data, inBrno);

let chain: Chain;
/** The HTTP side in this process, by the turned clock. */
let services: Services;
/** All that the app wrote and answered. */
let seen = '';
beforeAll(async () => {
  chain = await Chain.start({ apps: 0, env });
  const app = await startAppProcess({ endpoints: chain.stack.endpoints, env, output: 'pipe' });
  for (const stream of [app.child.stdout, app.child.stderr]) {
    stream?.on('data', (chunk) => {
      seen += chunk;
    });
  }
  chain.apps.push(app);
  const settings = readSettings({ ...settingsFor(chain.stack.endpoints), ...env });
  const log = (...line: unknown[]) => {
    seen += JSON.stringify(line);
  };
  services = new Services(settings, { clock: chain.clock, log });
});
afterAll(async () => {
  await services?.close();
  await chain?.close();
});

interface Sent extends SignOptions {
  readonly secret?: string;
  readonly sender?: string;
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

/** Answers with status, type and text; the headers given last win over those of the signature. */
async function send(body: string | Uint8Array<ArrayBuffer>, given: Sent = {}) {
  const { secret = newSecret, sender = 'brno-mes', type = structured, headers = {}, ...options } = given;
  const response = await fetch(`${chain.url}/api/webhooks/${sender}`, {
    method: 'POST',
    headers: { 'content-type': type, ...signedHeaders(secret, body, options), ...headers },
    body,
  });
  const text = await response.text();
  seen += text;
  return { status: response.status, text, location: response.headers.get('location') };
}

const post = (sent: TestEvent, given?: Sent) => send(JSON.stringify(sent), given);

async function isUnknown(...events: readonly TestEvent[]): Promise<void> {
  for (const { subject } of events) {
    expect((await chain.request(`/api/devices/${subject}`)).status, subject).toBe(404);
  }
}

describe('A signed webhook', () => {
  it('is taken as an event with a key is, without one', async () => {
    const sent = made('thermostat-w1');
    const { status, text, location } = await post(sent);
    expect(status).toBe(202);
    expect(location).toBe(`${chain.url}/api/devices/thermostat-w1/events/${keyOf(sent)}`);
    expect(JSON.parse(text)).toMatchObject({ accepted: [{ index: 0, id: sent.id, key: keyOf(sent) }] });
    await chain.ended([sent]);
    expect(chain.outcomeOf(sent)?.type).toBe('enrollment.succeeded');
  });

  it('is taken with the old secret and with the new one', async () => {
    for (const secret of [oldSecret, newSecret]) {
      expect((await post(made('thermostat-w2'), { secret })).status).toBe(202);
    }
    const body = JSON.stringify(made('thermostat-w2'));
    const options = { id: 'msg_rotated', timestamp: Math.floor(Date.now() / 1_000) };
    const both = [strange, newSecret].map((each) => signedHeaders(each, body, options)['webhook-signature']);
    const headers = { 'webhook-signature': ['v1a,AAAA', ...both].join(' ') };
    expect((await send(body, { ...options, headers })).status).toBe(202);
  });

  it('is taken as a batch, in binary mode, and with its outcomes waited for', async () => {
    const batch = [
      made('thermostat-w3'),
      event('device.changed', 'thermostat-w4', { product: 'thermostat-g2' }, inBrno),
    ];
    const waited = await send(JSON.stringify(batch), { type: batched, headers: { prefer: 'wait=30' } });
    expect(waited.status).toBe(200);
    expect(JSON.parse(waited.text)).toMatchObject({
      events: [
        { subject: 'thermostat-w3', status: 'succeeded' },
        { subject: 'thermostat-w4', status: 'succeeded' },
      ],
    });
    const { id, source, type, subject, time } = made('thermostat-w5');
    const binary = await send('{"product":"thermostat-g2"}', {
      type: 'application/json',
      headers: {
        'ce-specversion': '1.0',
        'ce-id': id,
        'ce-source': source,
        'ce-type': type,
        'ce-subject': subject,
        'ce-time': time,
      },
    });
    expect(binary.status).toBe(202);
  });

  it('that comes again has the same answer and one effect', async () => {
    const sent = made('thermostat-w6');
    const options = { id: 'msg_again', timestamp: Math.floor(Date.now() / 1_000) };
    const first = await post(sent, options);
    await chain.ended([sent]);
    const { etag } = await chain.dps.individualEnrollments.get('thermostat-w6');
    expect(await Promise.all([1, 2, 3].map(() => post(sent, options)))).toEqual([first, first, first]);
    const headers = { prefer: 'wait=30' };
    const waited = await post(sent, { ...options, headers });
    expect(await post(sent, { ...options, headers })).toEqual(waited);
    expect(JSON.parse(waited.text)).toMatchObject({ events: [{ status: 'succeeded', attempts: 1 }] });
    expect((await chain.dps.individualEnrollments.get('thermostat-w6')).etag).toBe(etag);
    const { events } = await chain.json('/api/devices/thermostat-w6');
    expect(events).toHaveLength(1);
  });

  it('cannot be turned into the data of another event by headers, which nobody signs', async () => {
    const sent = made('thermostat-w7');
    const headers = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': 'forged',
      'ce-source': inBrno.source,
      'ce-type': 'device.scrapped',
      'ce-subject': 'thermostat-w1',
      'ce-time': sent.time,
    };
    const { status, text } = await post(sent, { headers });
    expect(status).toBe(202);
    expect(JSON.parse(text)).toMatchObject({ accepted: [{ key: keyOf(sent) }] });
  });
});

describe('Of a webhook that is not signed', () => {
  const sent = made('thermostat-w10');
  const body = JSON.stringify(sent);
  let refused: { status: number; text: string };
  beforeAll(async () => {
    refused = await send(body, { secret: strange });
    expect(refused).toMatchObject({ status: 401, text: expect.stringContaining('Standard Webhooks') });
  });
  afterAll(() => isUnknown(sent));

  it('any byte of the body, or of what is signed beside it, is another: 401', async () => {
    const headers = signedHeaders(newSecret, body);
    const changed = (text: string, index: number) =>
      text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ 1) + text.slice(index + 1);
    for (let index = 0; index < body.length; index++) {
      expect(await send(changed(body, index), { headers }), `byte ${index} of the body`).toEqual(refused);
    }
    for (const [name, value] of Object.entries(headers)) {
      for (let index = 0; index < value.length; index++) {
        expect(
          await send(body, { headers: { ...headers, [name]: changed(value, index) } }),
          `byte ${index} of ${name}`,
        ).toEqual(refused);
      }
    }
  });

  it('nobody can tell whether its sender exists, and what is lacking', async () => {
    const lacking = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
      send(body, { headers: { [name]: '' } }),
    );
    const answers = await Promise.all([
      ...lacking,
      send(body, { sender: 'nobody' }),
      send(body, { sender: 'BRNO-MES' }),
      send(body, { sender: '__proto__' }),
      send(body, { sender: 'gdansk-mes' }), // has secrets, but is not in the senders file
      send(body, { sender: 'gdansk-mes', secret: strange }),
      send('{', { secret: strange }),
      send('<a/>', { secret: strange, type: 'text/xml' }),
      post(event('batch.started', 'batch-w1', {}), { secret: strange }),
    ]);
    for (const answer of answers) {
      expect(answer).toEqual(refused);
    }
    const bare = await fetch(`${chain.url}/api/webhooks/brno-mes`, { method: 'POST', body });
    expect({ status: bare.status, text: await bare.text() }).toMatchObject({
      status: 401,
      text: refused.text,
    });
  });

  it('a function key is no signature', async () => {
    const headers = {
      'x-functions-key': chain.stack.endpoints.keys.master,
      'webhook-signature': `v1,${chain.stack.endpoints.keys.master}`,
    };
    expect(await send(body, { headers })).toEqual(refused);
  });
});

describe('The time of a webhook', () => {
  /** Through the app in this process, whose clock can be turned: signed now, and it arrives then. */
  async function arriving(afterInMs: number): Promise<number> {
    const body = Buffer.from(JSON.stringify(made('thermostat-w11')));
    const signedAt = Math.floor(chain.clock.milliseconds() / 1_000);
    const headers = new Headers({
      'content-type': structured,
      ...signedHeaders(newSecret, body, { timestamp: signedAt }),
    });
    const request: Request = {
      method: 'POST',
      url: 'http://localhost/api/webhooks/brno-mes',
      headers,
      query: new URLSearchParams(),
      params: { sender: 'brno-mes' },
      body: async () => body,
    };
    const turn = signedAt * 1_000 + afterInMs - chain.clock.milliseconds();
    chain.clock.turn(turn);
    const { status } = await services.webhooks.accept('brno-mes', request);
    chain.clock.turn(-turn);
    return status;
  }

  it('may be 299 seconds away in either direction, and not 301', async () => {
    expect(await arriving(299_000)).toBe(202);
    expect(await arriving(-299_000)).toBe(202);
    expect(await arriving(301_000)).toBe(401);
    expect(await arriving(-301_000)).toBe(401);
  });
});

describe('A webhook is answered', () => {
  const mebibyte = 1024 * 1024;
  const padded = (subject: string, length: number) => {
    const text = JSON.stringify([made(subject)]);
    return `${' '.repeat(length - text.length)}${text}`;
  };

  it('413 where it has a byte more than 1 MiB, signed or not, and 202 where it has not', async () => {
    const tooLong = padded('thermostat-w20', mebibyte + 1);
    expect((await send(tooLong, { type: batched })).status).toBe(413);
    expect((await send(tooLong, { type: batched, secret: strange })).status).toBe(413);
    expect((await send(tooLong, { type: batched, sender: 'nobody' })).status).toBe(413);
    expect((await send(padded('thermostat-w21', mebibyte), { type: batched })).status).toBe(202);
    expect((await send(padded('thermostat-w20', mebibyte), { type: batched, secret: strange })).status).toBe(
      401,
    );
    await isUnknown(made('thermostat-w20'));
  });

  it('413 where a signed batch has more than 1,000 events', async () => {
    const many = JSON.stringify(Array.from({ length: 1_001 }, () => 0));
    expect((await send(many, { type: batched })).status).toBe(413);
    expect((await send(many, { type: batched, secret: strange })).status).toBe(401);
  });

  it('415 where it is compressed, a bomb too: nothing is decompressed', async () => {
    const bomb = Uint8Array.from(gzipSync(Buffer.alloc(64 * mebibyte, ' ')));
    expect(bomb.length).toBeLessThan(mebibyte);
    const headers = { 'content-encoding': 'gzip' };
    expect((await send(bomb, { headers })).status).toBe(415);
    expect((await send(bomb, { headers, secret: strange })).status).toBe(401);
    expect((await send(bomb)).status).toBe(400);
    expect((await send('<a/>', { type: 'text/xml' })).status).toBe(415);
  });

  it('400 where it is signed and no event, or a wrong one', async () => {
    const reasonOf = ({ text }: { text: string }) => JSON.parse(text).errors[0].reason;
    for (const [body, reason] of [
      ['{', 'malformed-json'],
      ['{}', 'not-a-cloudevent'],
      [JSON.stringify(event('device.made', 'thermostat-w22', {}, inBrno)), 'unknown-type'],
      [JSON.stringify(made('thermostat-w22', { product: 'thermostat-g2', tags: 1 })), 'invalid-data'],
    ] as const) {
      const answer = await send(body);
      expect(answer.status, reason).toBe(400);
      expect(reasonOf(answer)).toBe(reason);
      expect((await send(body, { secret: strange })).status).toBe(401);
    }
  });

  it('403 where any of its events is beyond what the sender may send, and keeps none of them', async () => {
    const good = made('thermostat-w23');
    const cases: [TestEvent, string][] = [
      [manufactured('thermostat-w24', {}, { source: '/factories/gdansk/line-1' }), '/source'],
      [made('thermostat-w24', { product: 'gateway-e1' }), '/data/product'],
      [made('thermostat-w24', { product: 'no-such-product' }), '/data/product'],
      [event('batch.held', 'batch-w24', undefined, inBrno), '/type'],
    ];
    for (const [bad, pointer] of cases) {
      const { status, text } = await send(JSON.stringify([good, bad]), { type: batched });
      expect(status, pointer).toBe(403);
      expect(JSON.parse(text)).toMatchObject({ errors: [{ index: 1, pointer, reason: 'not-permitted' }] });
    }
    const alsoWrong = [made('thermostat-w24', { tags: 1 }), cases[0]![0]];
    expect((await send(JSON.stringify(alsoWrong), { type: batched })).status).toBe(403);
    await isUnknown(good, made('thermostat-w24'));
    expect((await chain.json<{ rejected: object[] }>('/api/rejected')).rejected).toEqual([]);
  });
});

describe('A request that holds URLs', () => {
  it('has none of them fetched: no handshake, no validation, no event', async () => {
    let connections = 0;
    const listener = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as { port: number };
    const url = `http://127.0.0.1:${port}/never`;
    const asked = {
      'webhook-request-origin': 'mes.example.com',
      'webhook-request-callback': url,
      'webhook-request-rate': '100',
    };
    const validation = JSON.stringify([
      {
        id: '1',
        eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
        data: { validationCode: 'abc', validationUrl: url },
      },
    ]);
    for (const route of ['/api/webhooks/brno-mes', '/api/webhooks/nobody', '/api/events']) {
      const options = await fetch(`${chain.url}${route}`, { method: 'OPTIONS', headers: asked });
      expect(options.status).toBe(200);
      expect(options.headers.get('webhook-allowed-origin')).toBe('mes.example.com');
      expect(options.headers.get('webhook-allowed-rate')).toBe('*');
      expect(options.headers.get('allow')).toContain('POST');
    }
    const bare = await fetch(`${chain.url}/api/webhooks/brno-mes`, { method: 'OPTIONS' });
    expect(bare.status).toBe(400);
    const validated = await send(validation, { type: 'application/json', headers: asked });
    expect(validated).toMatchObject({ status: 200, text: '{"validationResponse":"abc"}' });
    expect((await send(validation, { type: 'application/json', secret: strange })).status).toBe(401);
    const keyed = await chain.request('/api/events', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...asked },
      body: validation,
    });
    expect(await keyed.json()).toEqual({ validationResponse: 'abc' });
    const sent = {
      ...made('thermostat-w30', { tags: { url }, deviceInformation: { url }, callback: url }),
      dataschema: url,
      validationUrl: url,
    };
    expect((await post(sent, { headers: { ...asked, origin: url, referer: url } })).status).toBe(202);
    await chain.ended([sent]);
    expect(connections).toBe(0);
    await new Promise((resolve) => listener.close(resolve));
  });
});

describe('The secrets', () => {
  it('are in nothing that the app wrote or answered', async () => {
    await eventually(async () => seen.includes('Standard Webhooks'), 'answers were noted');
    for (const path of ['/api/rejected', '/api/health/deep', '/api/devices/thermostat-w1']) {
      for (const accept of ['application/json', 'text/html']) {
        seen += await (await chain.request(path, { headers: { accept } })).text();
      }
    }
    for (const secret of [oldSecret, newSecret, strange]) {
      expect(seen).not.toContain(secret.slice(6));
      expect(seen).not.toContain(Buffer.from(secret.slice(6), 'base64').toString('hex'));
    }
    expect(seen).not.toContain('whsec_');
  });

  it('that are wrong stop the start, unseen', async () => {
    const { endpoints } = chain.stack;
    const start = startAppProcess({
      endpoints,
      env: { WEBHOOK_SECRETS_BRNO_MES: newSecret.slice(0, -1) },
      output: 'ignore',
    });
    await expect(start).rejects.toThrow(/^WEBHOOK_SECRETS_BRNO_MES must be secrets like whsec_…, [^\n]+$/);
  });
});
