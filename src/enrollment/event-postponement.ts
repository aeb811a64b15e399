import type { Clock } from '../clock.ts';
import type { EventBus } from '../events/event-bus.ts';
import type { EventIdentity } from '../events/manufacturing-event.ts';
import { type DecodedMessage, queuedAgain } from '../events/queue-message.ts';
import type { Log } from '../log.ts';
import { RowConflictError, StorageUnavailableError } from '../storage/tables.ts';
import type { LaterError } from './later-error.ts';
import type { Ledger, LedgerEntry } from './ledger.ts';
import { nextAttemptAt } from './retry-schedule.ts';
import { type EventRecord, isFinal } from './subject-state.ts';

export interface EventPostponementParts {
  readonly ledger: Ledger;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly log: Log;
}

export interface PostponedEvent {
  readonly message: DecodedMessage;
  readonly identity: EventIdentity;
  /** As it was read or written last. */
  readonly entry: LedgerEntry | undefined;
}

/** Nobody's fault: the event goes back to the queue for later, and its status says so. */
export class EventPostponement {
  readonly #parts: EventPostponementParts;

  constructor(parts: EventPostponementParts) {
    this.#parts = parts;
  }

  async postpone(event: PostponedEvent, error: LaterError): Promise<void> {
    const { clock, log } = this.#parts;
    const { message, identity, entry } = event;
    const notBefore = nextAttemptAt(message.attempt, clock.now(), error);
    log('warning', 'event-waits', {
      key: identity.key,
      until: notBefore.toISOString(),
      why: error.message,
      trackingId: error.trackingId,
    });
    await this.#noteWaiting(entry, message.attempt, notBefore, error).catch((cause: unknown) => {
      // The status is a courtesy; that the event is tried again is not.
      if (!(cause instanceof RowConflictError) && !(cause instanceof StorageUnavailableError)) throw cause;
    });
    await this.#queue(message, identity.key, notBefore);
  }

  /** Of a message that has no event to speak of. */
  queueAgain(message: DecodedMessage, key: string, error: LaterError): Promise<void> {
    return this.#queue(message, key, nextAttemptAt(message.attempt, this.#parts.clock.now(), error));
  }

  #queue(message: DecodedMessage, key: string, notBefore: Date): Promise<void> {
    return this.#parts.bus.queueEvents([queuedAgain(message, key, notBefore)]);
  }

  async #noteWaiting(
    entry: LedgerEntry | undefined,
    attempts: number,
    notBefore: Date,
    error: LaterError,
  ): Promise<void> {
    // What was only announced is not merged yet, and a sweep must not take it for that.
    if (!entry?.event || isFinal(entry.event.status) || entry.event.status === 'accepted') return;
    const event: EventRecord = {
      ...entry.event,
      status: 'retrying',
      attempts,
      nextAttemptAt: notBefore.toISOString(),
      detail: error.message,
      ...(error.trackingId === undefined ? {} : { trackingId: error.trackingId }),
    };
    await this.#parts.ledger.write(entry, { event });
  }
}
