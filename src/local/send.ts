/** `npm run send -- FILE [--queue | --webhook SENDER]`: sends CloudEvents to what `npm start` runs, and prints how they ended. */

import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { ServiceBusClient } from '@azure/service-bus';
import { manufacturingEventsQueue } from '../events/messaging-entities.ts';
import { readWebhookSecret, webhookSecretsSetting } from '../events/webhook-secrets.ts';
import { webhookSignature } from '../events/webhook-signature.ts';
import { inParallel } from '../tools/in-parallel.ts';
import { readEventFile } from './demo/event-file.ts';
import { type Ended, waitForEnd } from './demo/outcome-lookup.ts';
import { commandLine } from './stack/command-line.ts';
import { defaultEndpointsFile, type Endpoints, readEndpoints } from './stack/endpoints.ts';

const endsWithinMs = 120_000;
const lookupsAtOnce = 8;

const usage = `Usage: npm run send -- FILE [options]     sends CloudEvents to what npm start runs, and prints how they ended
  FILE               a JSON array of CloudEvents, or one a line
  --queue            over the queue instead of HTTP
  --webhook SENDER   over HTTP, signed as this sender, without a key
  --endpoints FILE   where the stack is found (${defaultEndpointsFile})
Exit code 0 if every event succeeded or was superseded.`;

await commandLine(usage, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      queue: { type: 'boolean', default: false },
      webhook: { type: 'string' },
      endpoints: { type: 'string', default: defaultEndpointsFile },
    },
  });
  const [file] = positionals;
  if (file === undefined) {
    throw new Error('Name a file of CloudEvents: npm run send -- FILE [--queue | --webhook SENDER]');
  }
  const endpoints = readEndpoints(values.endpoints);
  const functions = endpoints.functions;
  if (functions === undefined) {
    throw new Error('The stack runs without the app: start it with npm start.');
  }
  const texts = readEventFile(file);
  const route = values.webhook === undefined ? keyed(endpoints) : signed(endpoints, values.webhook);
  const ended = values.queue ? [] : await post(texts, functions, route);
  const queued = values.queue ? texts : texts.filter((_, index) => ended[index] === undefined);
  if (values.queue) {
    await sendToQueue(texts, endpoints);
  }
  const waited = await waitForAll(queued, functions, endpoints);
  const all = [...ended.filter((each) => each !== undefined), ...waited];
  for (const each of all) {
    print(each);
  }
  process.exit(all.every(({ status }) => status === 'succeeded' || status === 'superseded') ? 0 : 1);
});

function print({ label, status, reason, detail }: Ended): void {
  console.log(
    `${status.padEnd(10)}  ${label}${reason === undefined ? '' : `: ${reason}`}${detail === undefined ? '' : `. ${detail}`}`,
  );
}

interface Route {
  readonly path: string;
  headersFor(body: string): Record<string, string>;
}

function keyed({ keys }: Endpoints): Route {
  return { path: '/api/events', headersFor: () => ({ 'x-functions-key': keys.function }) };
}

function signed({ webhookSecrets }: Endpoints, sender: string): Route {
  const setting = webhookSecretsSetting(sender);
  const [secret = ''] = (webhookSecrets[sender] ?? process.env[setting] ?? '').split(' ');
  const key = readWebhookSecret(secret);
  if (!key) {
    throw new Error(
      `No secret of ${sender} was found: the endpoints file has those of ${Object.keys(webhookSecrets).join(', ') || 'nobody'}; others come from the environment (${setting}).`,
    );
  }
  return {
    path: `/api/webhooks/${sender}`,
    headersFor(body) {
      const message = {
        id: `msg_${randomUUID()}`,
        timestamp: String(Math.floor(Date.now() / 1_000)),
        body: Buffer.from(body),
      };
      return {
        'webhook-id': message.id,
        'webhook-timestamp': message.timestamp,
        'webhook-signature': webhookSignature(message, key),
      };
    },
  };
}

/** One a request, so that one invalid event keeps no other out. What HTTP refuses has ended. */
async function post(
  texts: readonly string[],
  functions: string,
  { path, headersFor }: Route,
): Promise<(Ended | undefined)[]> {
  const ended: (Ended | undefined)[] = [];
  for (const body of texts) {
    const headers = { 'content-type': 'application/cloudevents+json', ...headersFor(body) };
    const response = await fetch(`${functions}${path}`, { method: 'POST', headers, body });
    if (response.status === 202) {
      await response.body?.cancel();
      ended.push(undefined);
      continue;
    }
    const problem = (await response.json()) as {
      detail: string;
      errors?: { reason: string; detail: string }[];
    };
    const { reason = `HTTP ${response.status}`, detail = problem.detail } = problem.errors?.[0] ?? {};
    ended.push({ label: labelOf(body), status: 'rejected', reason, detail });
  }
  return ended;
}

/** Where the app receives, which is not the stack's Service Bus if the environment of `npm start` named another. */
async function sendToQueue(texts: readonly string[], { serviceBus, app }: Endpoints): Promise<void> {
  const elsewhere = app !== undefined && !serviceBus.connectionString.includes(`//${app.serviceBus};`);
  const connectionString = elsewhere ? process.env.ServiceBusConnection : serviceBus.connectionString;
  if (!connectionString) {
    throw new Error(
      `The app receives from ${app?.serviceBus}: set ServiceBusConnection here, too, as where it was started.`,
    );
  }
  const client = new ServiceBusClient(connectionString);
  try {
    const sender = client.createSender(manufacturingEventsQueue.name);
    for (const text of texts) {
      await sender.sendMessages({ body: Buffer.from(text), contentType: 'application/cloudevents+json' });
    }
  } finally {
    await client.close();
  }
}

async function waitForAll(
  texts: readonly string[],
  functions: string,
  { keys }: Endpoints,
): Promise<Ended[]> {
  const deadline = Date.now() + endsWithinMs;
  const ended: Ended[] = [];
  await inParallel(texts.entries(), lookupsAtOnce, async ([index, text]) => {
    ended[index] = await waitForEnd(text, functions, keys.function, deadline);
  });
  return ended;
}

function labelOf(text: string): string {
  try {
    const { type, subject, id } = JSON.parse(text) as Record<string, unknown>;
    return `${type} ${subject} (${id})`;
  } catch {
    return `a line of ${text.length} characters`;
  }
}
