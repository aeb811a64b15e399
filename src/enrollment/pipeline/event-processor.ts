import { randomUUID } from 'node:crypto';
import { type EventBus, EventBusUnavailableError } from '../../events/event-bus.ts';
import { type DecodedMessage, queuedAgain, readMessage } from '../../events/queue-message.ts';
import type { ReadEvent } from '../../events/read-event.ts';
import { redactSecrets } from '../../events/redact-secrets.ts';
import { StorageUnavailableError } from '../../storage/tables.ts';
import type { Clock } from '../../tools/clock.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import { subjectOf } from '../ledger/ledger.ts';
import type { EnrollmentProfiles } from '../ledger/profiles.ts';
import { keptBody } from '../rejected/kept-body.ts';
import type { SubjectTask } from './background-queue.ts';
import { evaluateEvent } from './event-evaluation.ts';
import type { EventRejections } from './event-rejections.ts';
import { nextAttemptAt } from './retry-schedule.ts';
import { type Senders, senderRejection } from './senders.ts';
import type { SubjectCompletion } from './subject-completion.ts';

/** How long an invocation waits for tokens and for DPS, while its message's lock is renewed. */
const timeoutInMs = 60_000;

export interface EventProcessorParts {
  readonly completion: SubjectCompletion;
  readonly profiles: EnrollmentProfiles;
  readonly senders: Senders;
  readonly rejections: EventRejections;
  readonly bus: Pick<EventBus, 'queueEvents'>;
  readonly clock: Clock;
}

/** What the queues bring, from a message's delivery until it may be completed. */
export class EventProcessor {
  readonly #parts: EventProcessorParts;

  constructor(parts: EventProcessorParts) {
    this.#parts = parts;
  }

  /** Resolves when the message may be completed. Throws only for bugs and for a Service Bus that takes nothing. */
  async process(message: DecodedMessage): Promise<void> {
    try {
      await this.#process(message);
    } catch (error) {
      throw redactSecrets(error, message.text);
    }
  }

  /** The same for a message without an event. */
  async complete(
    { subject, errand, chain, attempt, tries }: SubjectTask,
    deliveryCount: number,
  ): Promise<void> {
    const nonce = randomUUID();
    await this.#parts.completion.process({
      subject,
      errand,
      chain,
      attempt,
      tries,
      delivery: deliveryCount,
      nonce,
      deadline: this.#deadline(),
    });
  }

  async #process(message: DecodedMessage): Promise<void> {
    const { profiles, senders, clock, completion } = this.#parts;
    const read = readMessage(message);
    const identity = read.kind === 'event' ? read.event : read.identity;
    if (!identity) {
      return read.kind === 'rejected' ? this.#rejectUnread(message, read) : undefined;
    }
    await completion.process({
      subject: subjectOf(identity.subjectKind, identity.subject),
      event: {
        identity,
        evaluation: evaluateEvent(read, profiles, clock.now()),
        message,
        definition: read.event?.definition,
        keptBody: () => {
          const { body, why } = keptBody(message.text);
          return why === undefined ? body : undefined;
        },
        forbidden: (registers) => senderRejection(senders, message.sender, identity.key, registers),
      },
      chain: message.chain,
      attempt: message.attempt,
      tries: message.tries,
      delivery: message.deliveryCount,
      nonce: randomUUID(),
      deadline: this.#deadline(),
    });
  }

  /** What is no event has no ledger row; it is recorded and answered all the same. */
  async #rejectUnread(
    message: DecodedMessage,
    read: Extract<ReadEvent, { kind: 'rejected' }>,
  ): Promise<void> {
    const { rejections, bus, clock } = this.#parts;
    try {
      await rejections.ofUnread(message, read);
    } catch (cause) {
      if (!(cause instanceof StorageUnavailableError) && !(cause instanceof EventBusUnavailableError)) {
        throw cause;
      }
      const tries = message.tries + 1;
      const notBefore = nextAttemptAt(tries, clock.now(), new RetryLaterError(cause.message, { cause }));
      await bus.queueEvents([queuedAgain(message, read.key, { tries, nonce: randomUUID(), notBefore })]);
    }
  }

  #deadline(): number {
    return this.#parts.clock.now().getTime() + timeoutInMs;
  }
}
