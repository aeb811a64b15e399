import type { Clock } from '../clock.ts';
import { sha256 } from '../events/event-identity.ts';
import type { EventIdentity } from '../events/manufacturing-event.ts';
import type { DecodedMessage } from '../events/queue-message.ts';
import type { Rejection } from '../events/rejection.ts';
import type { Log } from '../log.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';
import type { RejectedEvents } from './rejected-events.ts';
import type { EventRecord } from './subject-state.ts';

export interface EventRejectionsParts {
  readonly rejectedEvents: RejectedEvents;
  readonly outcomes: OutcomePublisher;
  readonly clock: Clock;
  readonly log: Log;
}

/** Rejections that the ledger has no row for, and the note that every rejection leaves. */
export class EventRejections {
  readonly #parts: EventRejectionsParts;

  constructor(parts: EventRejectionsParts) {
    this.#parts = parts;
  }

  /** Another event under an id that is taken; the status resource stays the first one's. */
  async ofReuse(message: DecodedMessage, identity: EventIdentity, known: EventRecord): Promise<void> {
    const id = `${identity.key}-reuse-${sha256(message.text).slice(0, 8)}`;
    const rejection: Rejection = {
      reason: 'id-reuse',
      pointer: '/id',
      detail: `Source ${identity.source} has sent another event with the id ${identity.id} for ${identity.subject} before, at ${known.receivedAt}. Give every event an id of its own.`,
    };
    await this.note(message, id, identity, rejection);
    await this.#publish(id, rejection, identity);
  }

  /** What is no event. */
  async ofUnread(message: DecodedMessage, key: string, rejection: Rejection): Promise<void> {
    await this.note(message, key, undefined, rejection);
    await this.#publish(key, rejection, undefined);
  }

  note(
    message: DecodedMessage,
    key: string,
    identity: EventIdentity | undefined,
    rejection: Rejection,
  ): Promise<void> {
    const { reason, pointer, trackingId } = rejection;
    this.#parts.log('warning', 'event-rejected', { key, reason, pointer, trackingId });
    const { text, firstSeen, replay } = message;
    const rejectedAt = this.#parts.clock.now();
    return this.#parts.rejectedEvents.note({ key, identity, rejection, text, firstSeen, rejectedAt, replay });
  }

  #publish(id: string, { reason, detail }: Rejection, identity: EventIdentity | undefined): Promise<void> {
    return this.#parts.outcomes.publish({
      id,
      status: 'rejected',
      finishedAt: this.#parts.clock.now().toISOString(),
      subject: identity?.subject,
      event: identity ?? {},
      reason,
      detail,
      warnings: [],
    });
  }
}
