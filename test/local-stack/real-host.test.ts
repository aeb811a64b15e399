import { request } from 'node:http';
import { ServiceBusClient } from '@azure/service-bus';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventKey } from '../../src/events/event-identity.ts';
import { manufacturingEventsQueue } from '../../src/events/messaging-entities.ts';
import { type AppProcess, forkApp, startAppProcess } from '../../src/local/stack/app-process.ts';
import { type Stack, startStack } from '../../src/local/stack/stack.ts';
import { unusedEndpoints } from '../functions-host/unused-endpoints.ts';

let stack: Stack;
let app: AppProcess;
beforeAll(async () => {
  stack = await startStack();
  app = await startAppProcess({
    endpoints: stack.endpoints,
    env: { TZ: 'Europe/Prague' },
    output: 'ignore',
  });
});
afterAll(async () => {
  await app.kill();
  await stack.close();
});

const eventOf = (subject: string) => ({
  specversion: '1.0',
  id: 'e-1',
  source: '/factories/brno',
  type: 'device.manufactured',
  subject,
  time: new Date().toISOString(),
  data: { product: 'thermostat-g2' },
});

async function statusOf({ source, id, subject }: ReturnType<typeof eventOf>): Promise<unknown> {
  const key = eventKey(source, id, subject);
  const response = await fetch(`${app.url}/api/devices/${subject}/events/${key}`, {
    headers: { 'x-functions-key': stack.endpoints.keys.function },
  });
  return response.ok ? ((await response.json()) as { status: string; reason?: string }) : response.status;
}

const succeeded = (event: ReturnType<typeof eventOf>) =>
  vi.waitFor(async () => expect(await statusOf(event)).toMatchObject({ status: 'succeeded' }), {
    timeout: 20_000,
  });

describe('The app, as the real host calls it,', () => {
  it('takes the time of arrival for what it is, in whatever zone the machine is set to', async () => {
    const client = new ServiceBusClient(stack.endpoints.serviceBus.connectionString);
    const event = eventOf('zoned-1');
    await client
      .createSender(manufacturingEventsQueue.name)
      .sendMessages({ body: event, contentType: 'application/cloudevents+json' });
    await succeeded(event);
    await client.close();
  });

  it('takes an event that an administrator hands in, which was never on a queue', async () => {
    const event = eventOf('by-hand-1');
    const response = await fetch(`${app.url}/admin/functions/manufacturing-events`, {
      method: 'POST',
      headers: { 'x-functions-key': stack.endpoints.keys.master },
      body: JSON.stringify({ input: JSON.stringify(event) }),
    });
    expect(response.status).toBe(202);
    await succeeded(event);
  });

  it('says of a body in chunks, which it is not given, that it wants the length', async () => {
    const event = eventOf('chunked-1');
    const { status, body } = await postInChunks(JSON.stringify(event));
    expect(status).toBe(411);
    expect(JSON.parse(body)).toMatchObject({
      status: 411,
      detail: expect.stringContaining('Content-Length'),
    });
    expect(await statusOf(event)).toBe(404);
  });
});

describe('A start that fails', () => {
  it('leaves a line, for an alert: Azure goes on without functions', async () => {
    let written = '';
    const starting = forkApp({ env: { AUDIT_SCHEDULE: 'nightly' }, output: 'pipe' });
    starting.child.stderr?.on('data', (text) => {
      written += text;
    });
    await expect(starting.run({ endpoints: unusedEndpoints, port: 0 })).rejects.toThrow(
      'AUDIT_SCHEDULE must be NCRONTAB',
    );
    await vi.waitFor(() =>
      expect(written).toMatch(
        /Host\.Function\.Console: start-failed \{"why":"AUDIT_SCHEDULE must be NCRONTAB/,
      ),
    );
  });
});

/** As .NET's HttpClient sends JSON that it writes as it goes. */
function postInChunks(text: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/cloudevents+json',
      'x-functions-key': stack.endpoints.keys.function,
      'transfer-encoding': 'chunked',
    };
    const sent = request(`${app.url}/api/events`, { method: 'POST', headers }, async (response) => {
      let body = '';
      for await (const chunk of response) {
        body += chunk;
      }
      resolve({ status: response.statusCode ?? 0, body });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
