import { once } from 'node:events';
import path from 'node:path';
import { ServiceBusClient } from '@azure/service-bus';
import rhea, { type Message, type Typed } from 'rhea';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FunctionsHost, startFunctionsHost } from '../../src/local/functions/host.ts';
import type { LogEntry } from '../../src/local/functions/log.ts';
import { type ServiceBusEmulator, startServiceBusEmulator } from '../../src/local/servicebus/emulator.ts';
import { settings, until } from '../service-bus-emulator/bus.ts';
import type { calls as Calls } from './sample-app/src/functions/jobs.ts';

const { types, message: messages } = rhea;
const keys = { function: 'the-function-key', master: 'the-master-key' };
const withKey = (key: string) => ({ headers: { 'x-functions-key': key } });

let host: FunctionsHost;
let bus: ServiceBusEmulator;
let client: ServiceBusClient;
let calls: typeof Calls;
const log: LogEntry[] = [];

beforeAll(async () => {
  bus = await startServiceBusEmulator({
    queues: [
      { ...settings, name: 'work-items', maxDeliveryCount: 3 },
      { ...settings, name: 'binary', maxDeliveryCount: 2 },
      { ...settings, name: 'slow' },
      { ...settings, name: 'stuck' },
    ],
    topics: [],
  });
  client = new ServiceBusClient(bus.connectionString);
  process.env.ServiceBusConnection = bus.connectionString;
  process.env.WORK_QUEUE = 'work-items';
  process.env.TICK_SCHEDULE = '* * * * * *';
  process.env['AzureWebJobs.turnedOff.Disabled'] = '1';
  const appDirectory = path.join(import.meta.dirname, 'sample-app');
  host = await startFunctionsHost({ appDirectory, port: 0, keys, log: (entry) => log.push(entry) });
  calls = (globalThis as unknown as { sampleAppCalls: typeof Calls }).sampleAppCalls;
});

afterAll(async () => {
  await client.close();
  await bus.close();
});

const get = async (route: string, init?: RequestInit) => {
  const response = await fetch(`${host.url}/api/${route}`, init);
  return response.ok ? response.json() : response.status;
};
const post = (route: string, init: RequestInit = {}) =>
  fetch(`${host.url}/${route}`, { method: 'POST', ...init });

describe('An HTTP function', () => {
  it('is given the query and its own URL', async () => {
    expect(await get('items?q=a%20b')).toEqual({ q: 'a b', url: `${host.url}/api/items?q=a%20b` });
  });

  it('is found by the most specific route, without regard to case', async () => {
    expect(await get('items/7')).toEqual({ number: '7' });
    expect(await get('ITEMS/a%20b')).toEqual({ name: 'a b' });
  });

  it('gets an encoded slash of its route as it was sent', async () => {
    expect(await get('items/a%20b%2Fc%2fd')).toEqual({ name: 'a b%2Fc%2fd' });
  });

  it('may have optional and catch-all parameters', async () => {
    expect(await get('items/a/events/k')).toEqual({ name: 'a', key: 'k' });
    expect(await get('items/a/events')).toEqual({ name: 'a', key: null });
    expect(await get('files/a/b/c.txt')).toEqual({ path: 'a/b/c.txt' });
    expect(await get('files')).toEqual({ path: null });
  });

  it('is not found by another method, without the prefix, or when it is disabled', async () => {
    expect((await fetch(`${host.url}/api/items`, { method: 'DELETE' })).status).toBe(404);
    expect((await fetch(`${host.url}/items`)).status).toBe(404);
    expect(await get('turnedOff')).toBe(404);
    expect(await get('no-such-thing')).toBe(404);
  });

  it('answers with status, headers, cookies and body', async () => {
    const response = await post('api/items', { body: '{"n":21}', ...withKey(keys.function) });
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe('/somewhere');
    expect(response.headers.get('set-cookie')).toBe('s=1; HttpOnly; SameSite=Lax');
    const body = (await response.json()) as { invocation: string };
    expect(body).toMatchObject({ twice: 42, name: 'addItem' });
    expect(log).toContainEqual({
      level: 'information',
      category: 'Function.addItem.User',
      message: 'adding 21',
      invocationId: body.invocation,
    });
  });

  it('with a key takes the function key or the master key, as a header or as ?code=', async () => {
    const statusOf = async (route: string, init: RequestInit = {}) =>
      (await post(`api/${route}`, { body: '{"n":1}', ...init })).status;
    expect(await statusOf('items')).toBe(401);
    expect(await statusOf('items', withKey('wrong'))).toBe(401);
    expect(await statusOf('items', withKey(keys.master))).toBe(201);
    expect(await statusOf(`items?code=${keys.function}`)).toBe(201);
  });

  it('of level admin takes the master key alone', async () => {
    const url = `${host.url}/api/onlyForMasters`;
    expect((await fetch(url, withKey(keys.function))).status).toBe(401);
    expect(await (await fetch(url, withKey(keys.master))).text()).toBe('master');
  });

  it('that throws answers 500, and the log says why', async () => {
    expect(await get('throws')).toBe(500);
    expect(
      log.some(({ level, message }) => level === 'error' && message.includes('thrown by the sample app')),
    ).toBe(true);
  });

  it('that returns nothing answers 204', async () => {
    expect((await post('api/returnsNothing')).status).toBe(204);
  });

  it('takes and gives large bodies unchanged', async () => {
    const body = Buffer.alloc(3_000_000, 'abc');
    const echoed = await (await post('api/echo', { body })).arrayBuffer();
    expect(body.equals(Buffer.from(echoed))).toBe(true);
  });

  it('is spared a body beyond 100 MB, or what the setting for that says', async () => {
    const announced = async (bytes: number) =>
      (await rawRequest(`POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n\r\n`)).status;
    expect(await announced(104_857_601)).toBe(413);
    process.env.FUNCTIONS_REQUEST_BODY_SIZE_LIMIT = '1000';
    expect(await announced(1_001)).toBe(413);
    delete process.env.FUNCTIONS_REQUEST_BODY_SIZE_LIMIT;
  });

  it('gets no body of a request that comes in chunks', async () => {
    const { text } = await rawRequest(
      'POST /api/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).not.toContain('abc');
  });

  it('gets headers as UTF-8; one beyond Latin-1 is an error of the library, before the function runs', async () => {
    const withHeader = async (value: string) => {
      const { text } = await rawRequest(
        `GET /api/header HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-text: ${value}\r\n\r\n`,
      );
      return text;
    };
    expect(await withHeader('Größe')).toContain('{"x":"Größe"}');
    expect(await withHeader('Dvořák')).toMatch(/^HTTP\/1\.1 500 /);
  });

  it('that writes to the console has each line in the log, its level guessed from stream and text', async () => {
    const levelOf = async (stream: 'log' | 'error', text: string) => {
      await post('api/console', { body: `${stream} ${text}` });
      return log.find(({ category, message }) => category === 'Host.Function.Console' && message === text)
        ?.level;
    };
    expect(await levelOf('log', 'an-error-on-stdout')).toBe('information');
    expect(await levelOf('error', 'something-failed')).toBe('error');
    expect(await levelOf('error', 'something-warned')).toBe('warning');
    expect(await levelOf('error', 'event-rejected')).toBe('information');
  });
});

describe('A timer function', () => {
  it('runs by its schedule', async () => {
    await until(() => calls.timers.length > 0);
    expect(calls.timers[0]).toMatchObject({ isPastDue: false, schedule: { adjustForDST: true } });
    expect(calls.timers[0]?.scheduleStatus.next).toMatch(/^\d{4}-/);
  });

  it('runs by hand, for an administrator', async () => {
    const before = calls.timers.filter(({ scheduleStatus }) => scheduleStatus === null).length;
    const run = (key: string, name = 'tick') =>
      post(`admin/functions/${name}`, { body: '{}', ...withKey(key) });
    expect((await run(keys.function)).status).toBe(401);
    expect((await run(keys.master, 'none')).status).toBe(404);
    expect((await run(keys.master)).status).toBe(202);
    await until(() => calls.timers.filter(({ scheduleStatus }) => scheduleStatus === null).length > before);
  });
});

describe('A Service Bus function', () => {
  const received = (messageId: string) =>
    calls.messages.filter(({ metadata }) => String(metadata?.messageId) === messageId);

  it('is given the parsed body and the metadata of the message', async () => {
    await client.createSender('work-items').sendMessages({
      body: { a: 1 },
      messageId: 'object',
      contentType: 'application/json',
      subject: 'subject',
      applicationProperties: { 'cloudEvents:type': 'device.held' },
    });
    await until(() => received('object').length > 0);
    expect(received('object')[0]).toMatchObject({
      body: { a: 1 },
      metadata: { deliveryCount: 1, contentType: 'application/json', subject: 'subject' },
    });
  });

  it('is given a JSON text in a string as that string: the body is parsed once', async () => {
    const body = JSON.stringify({ a: 1 });
    await client.createSender('work-items').sendMessages([
      { body, messageId: 'text' },
      { body: Buffer.from(body), messageId: 'bytes' },
      { body: '', messageId: 'empty' },
      { body: Buffer.from('{"a":'), messageId: 'broken' },
    ]);
    await until(() => ['text', 'bytes', 'empty', 'broken'].every((id) => received(id).length > 0));
    const bodyOf = (id: string) => received(id)[0]?.body;
    expect([bodyOf('text'), bodyOf('bytes'), bodyOf('empty'), bodyOf('broken')]).toEqual([
      body,
      { a: 1 },
      '',
      '{"a":',
    ]);
  });

  it('that throws gets the message again until it is a dead letter', async () => {
    await client.createSender('work-items').sendMessages({ body: 'poison', messageId: 'poison' });
    await until(() => bus.counts('work-items').deadLetter === 1);
    expect(received('poison').map(({ metadata }) => metadata?.deliveryCount)).toEqual([1, 2, 3]);
  });

  it('loses no outcome when successes and failures end in the same tick', async () => {
    const before = bus.counts('work-items').deadLetter;
    const messages = Array.from({ length: 200 }, (_, i) => ({
      body: { poison: i % 3 === 0 },
      messageId: `mixed-${i}`,
    }));
    await client.createSender('work-items').sendMessages(messages);
    await until(() => {
      const { active, locked } = bus.counts('work-items');
      return active + locked === 0;
    });
    expect(bus.counts('work-items').deadLetter - before).toBe(67);
    expect(received('mixed-1')).toHaveLength(1);
  });

  it('is told times without a zone and with one, as .NET writes them', async () => {
    await client.createSender('work-items').sendMessages({ body: 'x', messageId: 'times' });
    await until(() => received('times').length > 0);
    const metadata = received('times')[0]?.metadata;
    expect(metadata?.enqueuedTimeUtc).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?$/);
    expect(metadata?.enqueuedTime).toBe(`${metadata?.enqueuedTimeUtc}+00:00`);
    expect(metadata?.expiresAt).toBe(`${metadata?.expiresAtUtc}+00:00`);
  });

  it('is given application properties of the other types of AMQP as text', async () => {
    const at = new Date('2026-11-25T23:16:12.430Z');
    const ticks = (BigInt(at.getTime()) * 10_000n + 621_355_968_000_000_000n).toString(16).padStart(16, '0');
    const described = (name: string, value: Typed) => types.described(types.wrap_symbol(name), value);
    const long = (value: string | number) =>
      types.wrap_long(typeof value === 'number' ? value : Buffer.from(value, 'hex'));
    await sendRaw('work-items', {
      message_id: 'types',
      application_properties: {
        timestamp: types.wrap_timestamp(at.getTime()),
        uuid: types.wrap_uuid(Buffer.from('00112233445566778899aabbccddeeff', 'hex')),
        bytes: Buffer.from('abc'),
        uri: described('com.microsoft:uri', types.wrap_string('https://contoso.com/a')),
        offset: described('com.microsoft:datetime-offset', long(ticks)),
        span: described('com.microsoft:timespan', long(937_840_500_000)),
        number: 7,
      },
      body: messages.data_section(Buffer.from('{}')),
    });
    await until(() => received('types').length > 0);
    expect(received('types')[0]?.metadata?.applicationProperties).toEqual({
      timestamp: '2026-11-25T23:16:12.43Z',
      uuid: '00112233-4455-6677-8899-aabbccddeeff',
      bytes: 'YWJj',
      uri: 'https://contoso.com/a',
      offset: '2026-11-25T23:16:12.43+00:00',
      span: '1.02:03:04.0500000',
      number: 7,
    });
  });

  it('never sees a message with an AMQP value body: it is delivered until it is a dead letter', async () => {
    await sendRaw('binary', { message_id: 'value', body: '{"a":1}' });
    await until(() => bus.counts('binary').deadLetter === 1);
    expect(received('value')).toEqual([]);
    expect(log.some(({ message }) => message.includes('AMQP value body'))).toBe(true);
  });

  it('of bytes is given bytes, and by hand, too, as of a message that was never on a queue', async () => {
    await client.createSender('binary').sendMessages({ body: Buffer.from('{"a":1}'), messageId: 'binary' });
    await until(() => received('binary').length > 0);
    expect(received('binary')[0]?.body).toEqual(Buffer.from('{"a":1}'));
    const before = calls.messages.length;
    const body = JSON.stringify({ input: 'by hand' });
    await post('admin/functions/binary', { body, ...withKey(keys.master) });
    await until(() => calls.messages.length > before);
    expect(calls.messages.at(-1)).toMatchObject({
      body: Buffer.from('by hand'),
      metadata: {
        deliveryCount: 0,
        enqueuedTimeUtc: '0001-01-01T00:00:00',
        enqueuedTime: '0001-01-01T00:00:00+00:00',
      },
    });
  });

  it('is run by hand with an input', async () => {
    const input = JSON.stringify({ by: 'hand' });
    const body = JSON.stringify({ input });
    expect((await post('admin/functions/work', { body, ...withKey(keys.master) })).status).toBe(202);
    await until(() => calls.messages.some((message) => (message.body as { by?: string })?.by === 'hand'));
    expect((await post('admin/functions/work', { body: '{', ...withKey(keys.master) })).status).toBe(400);
  });
});

describe('The host', () => {
  it('runs the hooks around invocations', async () => {
    await get('items/7');
    expect(calls.hooks[0]).toBe('appStart');
    expect(calls.hooks).toEqual(
      expect.arrayContaining(['pre itemByNumber', 'post itemByNumber ok', 'post throws failed']),
    );
  });

  it('lets what runs end when it stops, for a while, and leaves the rest on the queue', async () => {
    await client.createSender('stuck').sendMessages({ body: 'message' });
    await until(() => calls.slow.includes('stuck message'));
    await client.createSender('slow').sendMessages(Array.from({ length: 30 }, (_, i) => ({ body: `m${i}` })));
    await until(() => calls.slow.length > 0);
    await host.stop(5_000);
    const began = calls.slow.filter((call) => call.startsWith('began'));
    const ended = calls.slow.filter((call) => call.startsWith('ended'));
    expect(ended.length).toBe(began.length);
    const { active, locked, deadLetter } = bus.counts('slow');
    expect(active + locked + deadLetter).toBe(30 - ended.length);
    expect(bus.counts('stuck')).toMatchObject({ active: 0, locked: 1 });
    expect(calls.hooks.at(-1)).toBe('appTerminate');
    await expect(fetch(`${host.url}/api/items`)).rejects.toThrow();
  });
});

/** Sends only these bytes: fetch would insist on sending the body that the header promises. */
async function rawRequest(request: string): Promise<{ status: number; text: string }> {
  const { connect } = await import('node:net');
  const socket = connect(Number(new URL(host.url).port), '127.0.0.1');
  socket.write(request);
  let text = '';
  const isWhole = /connection: close/.test(request) ? () => false : () => text.includes('\r\n');
  for await (const chunk of socket) {
    text += chunk;
    if (isWhole()) {
      break;
    }
  }
  socket.destroy();
  return { status: Number(text.split(' ')[1]), text };
}

/** A message that the client would not make: rhea takes any. */
async function sendRaw(queue: string, message: Record<string, unknown>): Promise<void> {
  const connection = rhea.connect({ port: bus.port, username: 'a', reconnect: false });
  connection.on('connection_error', () => {});
  const sender = connection.open_sender(queue);
  await once(sender, 'sendable');
  sender.send(message as unknown as Message);
  await once(sender, 'accepted');
  connection.close();
}
