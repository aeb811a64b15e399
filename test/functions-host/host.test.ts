import path from 'node:path';
import { ServiceBusClient } from '@azure/service-bus';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FunctionsHost, startFunctionsHost } from '../../src/local/functions/host.ts';
import type { LogEntry } from '../../src/local/functions/log.ts';
import { type ServiceBusEmulator, startServiceBusEmulator } from '../../src/local/servicebus/emulator.ts';
import { settings, until } from '../service-bus-emulator/bus.ts';
import type { calls as Calls } from './sample-app/src/functions/jobs.ts';

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
      { ...settings, name: 'slow' },
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
    expect(await get('ITEMS/a%20b%2Fc')).toEqual({ name: 'a b%2Fc' });
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

  it('is spared a body beyond 100 MB', async () => {
    const { status } = await rawRequest(
      'POST /api/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 104857601\r\n\r\n',
    );
    expect(status).toBe(413);
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

  it('lets what runs end when it stops, and leaves the rest on the queue', async () => {
    await client.createSender('slow').sendMessages(Array.from({ length: 30 }, (_, i) => ({ body: `m${i}` })));
    await until(() => calls.slow.length > 0);
    await host.stop();
    const began = calls.slow.filter((call) => call.startsWith('began'));
    const ended = calls.slow.filter((call) => call.startsWith('ended'));
    expect(ended.length).toBe(began.length);
    const { active, locked, deadLetter } = bus.counts('slow');
    expect(active + locked + deadLetter).toBe(30 - ended.length);
    expect(calls.hooks.at(-1)).toBe('appTerminate');
    await expect(fetch(`${host.url}/api/items`)).rejects.toThrow();
  });
});

/** Sends only these bytes: fetch would insist on sending the body that the header promises. */
async function rawRequest(text: string): Promise<{ status: number }> {
  const { connect } = await import('node:net');
  const socket = connect(Number(new URL(host.url).port), '127.0.0.1');
  socket.write(text);
  let answer = '';
  for await (const chunk of socket) {
    answer += chunk;
    if (answer.includes('\r\n')) break;
  }
  socket.destroy();
  return { status: Number(answer.split(' ')[1]) };
}
