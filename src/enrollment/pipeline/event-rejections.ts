import { sha256 } from '../../events/event-identity.ts';
import type { EventIdentity } from '../../events/manufacturing-event.ts';
import type { DecodedMessage } from '../../events/queue-message.ts';
import type { ReadableEnvelope } from '../../events/read-envelope.ts';
import type { ReadEvent } from '../../events/read-event.ts';
import type { Rejection } from '../../events/rejection.ts';
import { quoted } from '../../events/secret-texts.ts';
import type { Clock } from '../../tools/clock.ts';
import type { Log } from '../../tools/log.ts';
import type { EventRecord } from '../ledger/subject-state.ts';
import { keptBody, keptBytes } from '../rejected/kept-body.ts';
import type { RejectedEvents } from '../rejected/rejected-events.ts';
import type { DeliveredEvent } from './delivery.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';

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
      detail: `Source ${quoted(identity.source)} has sent another event with the id ${quoted(identity.id)} for ${quoted(identity.subject)} before, at ${known.receivedAt}. Give every event an id of its own.`,
    };
    await this.note(message, id, identity, rejection);
    await this.#publish(message, id, rejection, identity);
  }

  /** Of the event whose message is at hand. */
  noteOwn({ message, identity }: DeliveredEvent, record: EventRecord): Promise<void> {
    // As its record has it, whichever copy of the message is at hand.
    const first = { ...message, firstSeen: new Date(record.receivedAt), replay: record.replay };
    return this.note(first, record.key, identity, rejectionOf(record));
  }

  /** Of an event whose message is gone: what was kept of its body when it was merged. */
  noteOther(record: EventRecord, body: string | undefined): Promise<void> {
    const { key, replay, sender } = record;
    const message = { text: body ?? '', firstSeen: new Date(record.receivedAt), replay, sender };
    return this.note(message, key, record, rejectionOf(record));
  }

  /** What is no event: its outcome names its message, and what of the envelope reads. */
  async ofUnread(message: DecodedMessage, read: Extract<ReadEvent, { kind: 'rejected' }>): Promise<void> {
    await this.note(message, read.key, read.readable, read.rejection);
    await this.#publish(message, read.key, read.rejection, read.readable);
  }

  note(
    message: Pick<DecodedMessage, 'text' | 'unreadable' | 'firstSeen' | 'replay' | 'sender'>,
    key: string,
    identity: ReadableEnvelope | undefined,
    rejection: Rejection,
  ): Promise<void> {
    const { reason, pointer, trackingId } = rejection;
    this.#parts.log('warning', 'event-rejected', { key, reason, pointer, trackingId });
    const { text, unreadable, firstSeen, replay, sender } = message;
    const kept = unreadable ? keptBytes(unreadable.bytes) : keptBody(text);
    const rejectedAt = this.#parts.clock.now();
    const rejected = { key, identity, rejection, kept, firstSeen, rejectedAt, replay, sender };
    return this.#parts.rejectedEvents.note(rejected);
  }

  #publish(
    { messageId }: DecodedMessage,
    id: string,
    { reason, detail }: Rejection,
    identity: ReadableEnvelope | undefined,
  ): Promise<void> {
    return this.#parts.outcomes.publish({
      id,
      status: 'rejected',
      finishedAt: this.#parts.clock.now().toISOString(),
      subject: identity?.subject,
      event: identity ?? {},
      messageId,
      reason,
      detail,
      warnings: [],
    });
  }
}

function rejectionOf({
  reason = 'dps-rejected',
  detail = '',
  pointer = '',
  trackingId,
}: EventRecord): Rejection {
  return { reason, detail, pointer, ...(trackingId === undefined ? {} : { trackingId }) };
}
