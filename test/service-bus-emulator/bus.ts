import {
  ServiceBusClient,
  type ServiceBusReceivedMessage,
  type ServiceBusReceiver,
} from '@azure/service-bus';
import { afterAll, beforeAll } from 'vitest';
import type { QueueSettings, TopicSettings } from '../../src/events/messaging-entities.ts';
import { type ServiceBusEmulator, startServiceBusEmulator } from '../../src/local/servicebus/emulator.ts';

export interface Bus {
  readonly emulator: ServiceBusEmulator;
  readonly client: ServiceBusClient;
  /** Turns the emulator's clock. */
  advance(milliseconds: number): void;
  now(): number;
}

export const settings = {
  lockDurationInMs: 60_000,
  maxDeliveryCount: 10,
  duplicateDetectionWindowInMs: 0,
  defaultTimeToLiveInMs: 3_600_000,
  deadLetteringOnMessageExpiration: false,
};

/** A real emulator and a real client for the tests of one file. Real time passes, too, but only as it does. */
export function useBus(entities: {
  queues?: readonly (Partial<QueueSettings> & { name: string })[];
  topics?: readonly TopicSettings[];
}): Bus {
  let turned = 0;
  const bus: { -readonly [K in keyof Bus]: Bus[K] } = {
    emulator: undefined as never,
    client: undefined as never,
    now: () => Date.now() + turned,
    advance(milliseconds) {
      turned += milliseconds;
      bus.emulator.runDeadlines();
    },
  };
  beforeAll(async () => {
    bus.emulator = await startServiceBusEmulator({
      queues: (entities.queues ?? []).map((queue) => ({ ...settings, ...queue })),
      topics: entities.topics ?? [],
      now: bus.now,
    });
    bus.client = new ServiceBusClient(bus.emulator.connectionString, { retryOptions: { maxRetries: 0 } });
  });
  afterAll(async () => {
    await bus.client.close();
    await bus.emulator.close();
  });
  return bus;
}

export async function receiveOne(receiver: ServiceBusReceiver): Promise<ServiceBusReceivedMessage> {
  const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 10_000 });
  if (message === undefined) {
    throw new Error('There was no message.');
  }
  return message;
}

/** Bodies of so many messages, completed; receiveMessages may answer with fewer than asked for. */
export async function takeAll(receiver: ServiceBusReceiver, count: number): Promise<unknown[]> {
  const bodies: unknown[] = [];
  while (bodies.length < count) {
    const message = await receiveOne(receiver);
    bodies.push(message.body);
    await receiver.completeMessage(message);
  }
  return bodies;
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
