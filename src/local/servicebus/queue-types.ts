import type { HeapEntry } from './heap.ts';
import type { Message } from './message.ts';

export interface QueuePolicy {
  readonly name: string;
  readonly lockDurationInMs: number;
  readonly maxDeliveryCount: number;
  readonly duplicateDetectionWindowInMs: number;
  readonly defaultTimeToLiveInMs: number;
  readonly deadLetteringOnMessageExpiration: boolean;
}

export interface Counts {
  readonly active: number;
  readonly locked: number;
  readonly deferred: number;
  readonly scheduled: number;
  readonly deadLetter: number;
}

/** Who takes messages: a link of a client, or a topic that passes them on. */
export interface Consumer {
  readonly peekLock: boolean;
  /** How many messages it takes now. */
  capacity(): number;
  deliver(stored: StoredMessage): void;
}

type Properties = Readonly<Record<string, unknown>>;

export interface DeadLettering {
  readonly reason: unknown;
  readonly description: unknown;
  readonly properties?: Properties;
}

/** What a client says of a message that it holds. Properties are changed on the message. */
export type Settlement =
  | { readonly as: 'complete' | 'release' }
  | { readonly as: 'abandon' | 'defer'; readonly properties: Properties }
  | ({ readonly as: 'deadLetter' } & DeadLettering);

export type State = 'active' | 'locked' | 'deferred' | 'scheduled';

/** When something must happen to a message by itself; what, its state says. */
export interface Deadline {
  readonly at: number;
  readonly stored: StoredMessage;
}

export interface StoredMessage {
  message: Message;
  readonly sequenceNumber: number;
  readonly enqueuedAt: number;
  readonly expiresAt: number;
  deliveryCount: number;
  state: State;
  /** A deferred message that comes back from a lock is deferred again. */
  wasDeferred: boolean;
  lock: { readonly token: string; readonly until: number } | undefined;
  ready: HeapEntry<StoredMessage> | undefined;
  deadline: HeapEntry<Deadline> | undefined;
}
