import type { TokenCredential } from '@azure/core-auth';
import type {
  ServiceBusClient,
  ServiceBusMessage,
  ServiceBusReceivedMessage,
  ServiceBusSender,
} from '@azure/service-bus';

import { messageIdOf } from './event-identity.ts';
import type { JsonObject } from './json.ts';
import { writeMarks } from './message-marks.ts';
import {
  backgroundWorkQueue,
  enrollmentOutcomesTopic,
  manufacturingEventsQueue,
} from './messaging-entities.ts';

/** An event on its way to the queue, or back to it. */
export interface QueuedEvent {
  readonly key: string;
  /** The event's JSON text, as it came; bytes where they are no text. */
  readonly body: string | Uint8Array;
  /** 1 for an event that was never tried: the place in its chain. */
  readonly attempt: number;
  /** Of one that is sent again: its chain, the invocation that sends it, and how often it has failed. */
  readonly chain?: string;
  readonly nonce?: string;
  readonly tries?: number;
  /** When it arrived first. */
  readonly firstSeen: Date;
  readonly notBefore?: Date;
  /** Names a replay, so that its copies are one. */
  readonly replay?: string | undefined;
  /** Its `accepted` record is in the ledger already. */
  readonly announced?: boolean;
  /** The sender that signed it. */
  readonly sender?: string | undefined;
  /** Of the message that brought it, so that its outcome can be matched. */
  readonly messageId?: string | undefined;
}

export type PublishedEvent = JsonObject & { readonly id: string; readonly type: string };

/** What subscriptions select by, and senders match with what they sent. */
export interface Addressing {
  readonly subject?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly properties?: Readonly<Record<string, string>>;
}

export interface BackgroundWork {
  /** Equal for copies of one slice. */
  readonly id: string;
  readonly work: JsonObject;
  readonly notBefore?: Date;
}

export interface WaitingEvents {
  readonly active: number;
  /** Those that are tried again later. */
  readonly scheduled: number;
  /** There may be more: nobody looked further. */
  readonly isMore: boolean;
  readonly oldest: Date | undefined;
}

/** Service Bus does not answer, or does not take a message now. */
export class EventBusUnavailableError extends Error {
  override name = 'EventBusUnavailableError';
}

export type EventBusAccess =
  | { readonly connectionString: string }
  | { readonly fullyQualifiedNamespace: string; readonly credential: () => Promise<TokenCredential> };

/** How far `oldestEvent` looks: bodies come along, so pages are small. */
const peekedAtOnce = 50;
const peekedAtMost = 2_000;

const cloudEventsJson = 'application/cloudevents+json';

interface WaitingOutcome {
  readonly message: ServiceBusMessage;
  sent(): void;
  failed(error: unknown): void;
}

/** Puts events, outcomes and background work on Service Bus. Connects on first use. */
export class EventBus {
  readonly #access: EventBusAccess;
  readonly #senders = new Map<string, Promise<ServiceBusSender>>();
  #client: Promise<ServiceBusClient> | undefined;
  #outcomes: WaitingOutcome[] = [];

  constructor(access: EventBusAccess) {
    this.#access = access;
  }

  async queueEvents(events: readonly QueuedEvent[]): Promise<void> {
    await this.#send(manufacturingEventsQueue.name, events.map(messageOf));
  }

  async queueWork(work: BackgroundWork): Promise<void> {
    const message: ServiceBusMessage = {
      body: work.work,
      messageId: work.id,
      contentType: 'application/json',
      ...(work.notBefore ? { scheduledEnqueueTimeUtc: work.notBefore } : {}),
    };
    await this.#send(backgroundWorkQueue.name, [message]);
  }

  /** Publishes a CloudEvent. Copies of one event have one MessageId. What comes at once goes in one batch. */
  publish(event: PublishedEvent, { subject, correlationId, properties }: Addressing = {}): Promise<void> {
    const message: ServiceBusMessage = {
      body: event,
      messageId: messageIdOf(event.id, '', event.type),
      contentType: cloudEventsJson,
      ...(subject === undefined ? {} : { subject }),
      ...(correlationId === undefined ? {} : { correlationId }),
      ...(properties === undefined ? {} : { applicationProperties: { ...properties } }),
    };
    return new Promise((sent, failed) => {
      this.#outcomes.push({ message, sent, failed });
      if (this.#outcomes.length === 1) {
        setImmediate(() => void this.#flush());
      }
    });
  }

  /** Fails unless Service Bus takes a batch of nothing, which needs a connection and the right to send. */
  async check(): Promise<void> {
    const sender = await this.#sender(manufacturingEventsQueue.name);
    await sender.createMessageBatch();
  }

  /** Since when the event that has waited longest could have been worked on. Those scheduled for later do not wait. */
  async oldestEvent(): Promise<Date | 'none' | 'unknown'> {
    let seen = 0;
    for await (const { state, enqueuedTimeUtc } of this.#peeked(peekedAtMost)) {
      seen++;
      if (state === 'active' && enqueuedTimeUtc) {
        return enqueuedTimeUtc;
      }
    }
    return seen < peekedAtMost ? 'none' : 'unknown';
  }

  /** What is in the queue, as far as it is looked at: the right to receive is enough for that. */
  async waitingEvents(atMost: number): Promise<WaitingEvents> {
    let active = 0;
    let scheduled = 0;
    let oldest: Date | undefined;
    for await (const { state, enqueuedTimeUtc } of this.#peeked(atMost)) {
      if (state === 'scheduled') {
        scheduled++;
      }
      if (state !== 'active') {
        continue;
      }
      active++;
      oldest ??= enqueuedTimeUtc;
    }
    return { active, scheduled, isMore: active + scheduled >= atMost, oldest };
  }

  async *#peeked(atMost: number): AsyncGenerator<ServiceBusReceivedMessage> {
    const client = await this.#opened();
    const receiver = client.createReceiver(manufacturingEventsQueue.name);
    try {
      for (let seen = 0; seen < atMost; ) {
        const messages = await receiver.peekMessages(Math.min(peekedAtOnce, atMost - seen));
        if (messages.length === 0) {
          return;
        }
        seen += messages.length;
        yield* messages;
      }
    } finally {
      await receiver.close();
    }
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    this.#senders.clear();
    await client?.close();
  }

  async #flush(): Promise<void> {
    const waiting = this.#outcomes;
    this.#outcomes = [];
    try {
      await this.#send(
        enrollmentOutcomesTopic.name,
        waiting.map(({ message }) => message),
      );
      for (const { sent } of waiting) {
        sent();
      }
    } catch (error) {
      for (const { failed } of waiting) {
        failed(error);
      }
    }
  }

  async #send(entity: string, messages: readonly ServiceBusMessage[]): Promise<void> {
    try {
      const sender = await this.#sender(entity);
      const [first] = messages;
      if (messages.length === 1 && first) {
        await sender.sendMessages(first);
      } else {
        for (const batch of await this.#batches(sender, messages)) {
          await sender.sendMessages(batch);
        }
      }
    } catch (cause) {
      throw new EventBusUnavailableError(`Service Bus does not take messages for ${entity} now.`, { cause });
    }
  }

  async #batches(sender: ServiceBusSender, messages: readonly ServiceBusMessage[]) {
    let batch = await sender.createMessageBatch();
    const batches = [batch];
    for (const message of messages) {
      if (batch.tryAddMessage(message)) {
        continue;
      }
      batch = await sender.createMessageBatch();
      if (!batch.tryAddMessage(message)) {
        throw new Error(`A message of ${message.contentType} is too large.`);
      }
      batches.push(batch);
    }
    return batches;
  }

  #sender(entity: string): Promise<ServiceBusSender> {
    let sender = this.#senders.get(entity);
    if (!sender) {
      sender = this.#opened().then((client) => client.createSender(entity));
      this.#senders.set(entity, sender);
    }
    return sender;
  }

  #opened(): Promise<ServiceBusClient> {
    this.#client ??= this.#open();
    return this.#client;
  }

  async #open(): Promise<ServiceBusClient> {
    const access = this.#access;
    // Loading the SDK takes longer than all of our own code: not before it is needed.
    const { ServiceBusClient } = await import('@azure/service-bus');
    const retryOptions = { maxRetries: 2, retryDelayInMs: 500, timeoutInMs: 15_000 };
    if ('connectionString' in access) {
      return new ServiceBusClient(access.connectionString, { retryOptions });
    }
    return new ServiceBusClient(access.fullyQualifiedNamespace, await access.credential(), { retryOptions });
  }
}

function messageOf(event: QueuedEvent): ServiceBusMessage {
  const { replay, attempt, nonce } = event;
  // Never swallowed as a copy of another invocation's: that one may not know what this one does.
  const place = [replay, attempt, nonce].filter((part) => part !== undefined).join('/');
  return {
    body: Buffer.from(event.body),
    messageId: messageIdOf(event.key, event.body, place),
    contentType: cloudEventsJson,
    applicationProperties: writeMarks(event),
    ...(event.notBefore ? { scheduledEnqueueTimeUtc: event.notBefore } : {}),
  };
}
