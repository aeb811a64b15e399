import { ServiceBusClient } from '@azure/service-bus';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { backgroundWorkQueue, manufacturingEventsQueue } from '../../src/events/messaging-entities.ts';
import { type AppProcess, startAppProcess } from '../../src/local/stack/app-process.ts';
import { settingsFor } from '../../src/local/stack/endpoints.ts';
import { type Stack, startStack } from '../../src/local/stack/stack.ts';
import { Services } from '../../src/services.ts';
import { readSettings } from '../../src/settings.ts';
import { consoleLog } from '../../src/tools/log.ts';

let stack: Stack;
let client: ServiceBusClient;

beforeAll(async () => {
  stack = await startStack();
  client = new ServiceBusClient(stack.endpoints.serviceBus.connectionString);
});
afterAll(async () => {
  await client.close();
  await stack.close();
});

describe('The age of the oldest event', () => {
  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000);

  /** What is logged by an app whose clock is ahead. */
  async function loggedIn(minutes: number): Promise<unknown> {
    const logged: unknown[] = [];
    const clock = { now: () => inMinutes(minutes), sleep: async () => {} };
    const settings = readSettings(settingsFor(stack.endpoints));
    const services = new Services(settings, { clock, log: (...line) => logged.push(line) });
    await services.queueWatch.look();
    await services.close();
    return logged;
  }
  const line = (ageInSeconds: unknown) => [
    ['information', 'oldest-message', { queue: manufacturingEventsQueue.name, ageInSeconds }],
  ];

  it('is that of the first one that is due: not of those that are tried again later', async () => {
    expect(await loggedIn(10)).toEqual(line(0));
    const sender = client.createSender(manufacturingEventsQueue.name);
    for (let i = 0; i < 60; i++) {
      await sender.scheduleMessages({ body: `later ${i}` }, inMinutes(60));
    }
    expect(await loggedIn(10)).toEqual(line(0));
    await sender.sendMessages([{ body: 'first' }, { body: 'second' }]);
    const [[, , { ageInSeconds }]] = (await loggedIn(10)) as [[string, string, { ageInSeconds: number }]];
    expect(ageInSeconds).toBeGreaterThan(590);
    expect(ageInSeconds).toBeLessThan(630);
    const receiver = client.createReceiver(manufacturingEventsQueue.name, {
      receiveMode: 'receiveAndDelete',
    });
    await receiver.receiveMessages(2);
    expect(await loggedIn(10)).toEqual(line(0));
    await receiver.close();
  });

  it('is unknown, not nothing, where more events are tried again later than it looks at', async () => {
    const sender = client.createSender(manufacturingEventsQueue.name);
    const later = Array.from({ length: 250 }, (_, i) => ({ body: `much later ${i}` }));
    const scheduled: Awaited<ReturnType<typeof sender.scheduleMessages>> = [];
    for (let i = 0; i < 8; i++) {
      scheduled.push(...(await sender.scheduleMessages(later, inMinutes(60))));
    }
    expect(await loggedIn(10)).toEqual(line('unknown'));
    await sender.cancelScheduledMessages(scheduled);
  });
});

describe('The app logs, in lines that alerts look for,', () => {
  let app: AppProcess;
  let output = '';
  beforeAll(async () => {
    app = await startAppProcess({ endpoints: stack.endpoints, output: 'pipe' });
    for (const stream of [app.child.stdout, app.child.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk;
      });
    }
  });
  afterAll(() => app.kill());

  const written = (line: RegExp) => vi.waitFor(() => expect(output).toMatch(line), { timeout: 20_000 });
  const post = (path: string, body: unknown, key: string) =>
    fetch(`${app.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-functions-key': key },
      body: JSON.stringify(body),
    });

  it('how long the oldest event has waited, whenever the timer fires', async () => {
    const fired = await post('/admin/functions/queue-watch', { input: '' }, stack.endpoints.keys.master);
    expect(fired.status).toBe(202);
    await written(
      / Host\.Function\.Console: oldest-message \{"queue":"manufacturing-events","ageInSeconds":\d+\}$/m,
    );
  });

  it('each event that is rejected', async () => {
    await client.createSender(manufacturingEventsQueue.name).sendMessages({ body: { specversion: '1.0' } });
    await written(
      / Host\.Function\.Console: event-rejected \{"key":"[0-9a-f]{32}","reason":"not-a-cloudevent","pointer":"\/id"\}$/m,
    );
  });

  it('each invocation that fails', async () => {
    await client.createSender(backgroundWorkQueue.name).sendMessages({ body: { task: 'unknown' } });
    await written(
      / Host\.Function\.Console: function-failed \{"function":"background-work","invocation":"[^"]+","why":"Error"\}$/m,
    );
  });

  it('each answer that is to be asked for again, which is no failure of a function', async () => {
    await stack.close();
    const asked = await post('/api/audit/runs', {}, stack.endpoints.keys.function);
    expect([asked.status, asked.headers.get('retry-after')]).toEqual([503, '5']);
    await written(/ Host\.Function\.Console: not-now \{"function":"audit-start","invocation":"[^"]+"\}$/m);
    const refused = await post('/api/events', {}, stack.endpoints.keys.function);
    expect(refused.status).toBe(400);
    expect(output).not.toMatch(/function-failed \{"function":"(?:events|audit-start)"/);
    await written(
      / Host\.Function\.Console: request-refused \{"status":400,"reasons":\{"not-a-cloudevent":4\},"refused":1\}$/m,
    );
  });
});

it('A line is one line, and begins with the words that are looked for', () => {
  const write = vi.spyOn(console, 'warn').mockImplementation(() => {});
  consoleLog('warning', 'event-waits', { why: 'two\nlines' });
  expect(write.mock.calls).toEqual([['event-waits {"why":"two\\nlines"}']]);
  write.mockRestore();
});
