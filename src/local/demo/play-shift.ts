import { ServiceBusClient } from '@azure/service-bus';

import { manufacturingEventsQueue } from '../../events/messaging-entities.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import type { EventJson } from './event-file.ts';

export interface Refusal {
  readonly id: string;
  readonly reason: string;
  readonly detail: string;
}

export interface Played {
  readonly overHttp: number;
  readonly overQueue: number;
  /** What HTTP refused at the door: nothing of it was queued. */
  readonly refused: readonly Refusal[];
  /** Ids of the events that were queued, one way or the other. */
  readonly queued: readonly EventJson[];
}

/** Brno posts webhooks, everybody else writes to the queue with the real client. */
export async function playShift(
  events: readonly EventJson[],
  functions: string,
  endpoints: Endpoints,
): Promise<Played> {
  const overHttp = events.filter(({ source }) => String(source).startsWith('/factories/brno'));
  const overQueue = events.filter((event) => !overHttp.includes(event));
  const refused: Refusal[] = [];
  const [posted] = await Promise.all([
    postAll(overHttp, functions, endpoints.keys.function, refused),
    sendAll(overQueue, endpoints.serviceBus.connectionString),
  ]);
  return {
    overHttp: overHttp.length,
    overQueue: overQueue.length,
    refused,
    queued: [...posted, ...overQueue],
  };
}

async function postAll(
  events: readonly EventJson[],
  functions: string,
  key: string,
  refused: Refusal[],
): Promise<EventJson[]> {
  const queued: EventJson[] = [];
  for (const event of events) {
    const response = await fetch(`${functions}/api/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents+json', 'x-functions-key': key },
      body: JSON.stringify(event),
    });
    if (response.status === 202) {
      queued.push(event);
    } else if (response.status === 400) {
      const { errors } = (await response.json()) as { errors: { reason: string; detail: string }[] };
      for (const { reason, detail } of errors) {
        refused.push({ id: String(event.id), reason, detail });
      }
    } else {
      throw new Error(`POST ${functions}/api/events answered ${response.status}: ${await response.text()}`);
    }
    await response.body?.cancel().catch(() => {});
  }
  return queued;
}

async function sendAll(events: readonly EventJson[], connectionString: string): Promise<void> {
  const client = new ServiceBusClient(connectionString);
  try {
    const sender = client.createSender(manufacturingEventsQueue.name);
    for (const body of events) {
      await sender.sendMessages({ body, contentType: 'application/cloudevents+json' });
    }
  } finally {
    await client.close();
  }
}
