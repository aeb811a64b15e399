import { type EventBus, EventBusUnavailableError } from '../../events/event-bus.ts';
import { isDefinitionKind } from '../../events/manufacturing-event.ts';
import { queuedAgain } from '../../events/queue-message.ts';
import { StorageUnavailableError } from '../../storage/tables.ts';
import type { Clock } from '../../tools/clock.ts';
import type { Log } from '../../tools/log.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import { desiredState } from '../ledger/desired-state.ts';
import type { Ledger, LedgerView } from '../ledger/ledger.ts';
import type { EnrollmentProfiles } from '../ledger/profiles.ts';
import type { EventRecord } from '../ledger/subject-state.ts';
import type { BackgroundQueue } from './background-queue.ts';
import { type Delivery, mayHaveStopped } from './delivery.ts';
import type { EventRejections } from './event-rejections.ts';
import { HolderSlots } from './holder-slots.ts';
import { type Merged, MergeQueue } from './merge-queue.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';
import { OutcomesDue } from './outcomes-due.ts';
import { nextAttemptAt } from './retry-schedule.ts';
import type { SubjectHolder } from './subject-holder.ts';

export interface CompletionParts {
  readonly ledger: Ledger;
  readonly holder: SubjectHolder;
  readonly profiles: EnrollmentProfiles;
  readonly rejections: EventRejections;
  readonly outcomes: OutcomePublisher;
  readonly bus: Pick<EventBus, 'queueEvents'>;
  readonly background: BackgroundQueue;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1; spreads what would come again at once. */
  readonly random?: () => number;
}

/** Service Bus swallows copies of an outcome within its duplicate detection window. */
const copiesAreSwallowedForMs = 10 * 60_000;
/** A stale write that is still under way, and a holder that stalls, are over by then. */
const lookAfterMs = 5 * 60_000;
const parkedForSlotInMs = [2_000, 5_000] as const;
/** Where many wait, those of one device are merged before DPS is asked; what is only created can be made ten at a time. */
const lingersInMs = { creating: 40, changing: 500 } as const;
const manyInFlight = 50;
/** What waits for another event, or for room, is tried again about so soon. */
const rescheduledInMs = 2_000;

/**
 * What becomes of each delivery that concerns a device or batch: merged into the ledger, completed by whoever holds the
 * lease, or sent again. A message is complete only when nothing depends on it any more, so while events are pending a
 * message of their device is alive.
 */
export class SubjectCompletion {
  readonly #parts: CompletionParts;
  readonly #turns: MergeQueue;
  readonly #slots = new HolderSlots();
  readonly #outcomesDue: OutcomesDue;
  #inFlight = 0;

  constructor(parts: CompletionParts) {
    this.#parts = parts;
    this.#outcomesDue = new OutcomesDue(parts.ledger, parts.outcomes);
    this.#turns = new MergeQueue(parts.ledger, parts.clock, ({ subject }, { registers }) =>
      desiredState(subject.kind, subject.id, registers, parts.profiles),
    );
  }

  /** Resolves when the message may be completed. Throws only for bugs and for a Service Bus that takes nothing. */
  async process(delivery: Delivery): Promise<void> {
    const slot = this.#slots.forOneDelivery();
    this.#inFlight++;
    try {
      await this.#process(delivery, () => slot.take());
    } catch (error) {
      const later = retryLaterOf(error);
      if (!later) {
        throw error;
      }
      const { clock, random } = this.#parts;
      const notBefore = nextAttemptAt(delivery.tries + 1, clock.now(), later, random);
      await this.#again(delivery, notBefore, later);
    } finally {
      this.#inFlight--;
      slot.release();
    }
  }

  async #process(delivery: Delivery, takeSlot: () => boolean): Promise<void> {
    let hasHeld = false;
    let took = false;
    let seemsNew = isFirstOfItsDevice(delivery);
    for (;;) {
      const { decision, view } = await this.#turns.merge({ delivery, hasHeld, takeSlot, seemsNew });
      seemsNew = false;
      if (decision.kind !== 'hold') {
        return this.#withoutHolding(delivery, { decision, view }, took);
      }
      took = true;
      const lingered = await this.#lingered(view, decision.mayExist);
      const held = await this.#parts.holder.hold(lingered, delivery, decision.mayExist);
      if (held.kind === 'parked') {
        return this.#again(delivery, held.notBefore, held.error);
      }
      hasHeld = held.kind === 'lost';
      if (held.kind === 'finished') {
        await this.#finished(delivery, view, held.view, held.ended);
        if (!decision.listIsFull) {
          return;
        }
      }
    }
  }

  async #lingered(view: LedgerView, mayExist: boolean): Promise<LedgerView> {
    if (this.#inFlight < manyInFlight) {
      return view;
    }
    const { clock, ledger } = this.#parts;
    const isCreation = !mayExist && view.state.registers.definitions.length > 0;
    await clock.sleep(isCreation ? lingersInMs.creating : lingersInMs.changing);
    return ledger.read(view.subject);
  }

  async #withoutHolding(delivery: Delivery, { decision, view }: Merged, took: boolean): Promise<void> {
    const { outcomes, rejections } = this.#parts;
    const mayOwe = took || mayHaveStopped(delivery);
    switch (decision.kind) {
      case 'park':
        return this.#again(delivery, this.#parkedUntil(delivery), undefined);
      case 'reschedule':
        return this.#reschedule(delivery, decision.isSoonOver);
      case 'reuse':
        await (delivery.event &&
          rejections.ofReuse(delivery.event.message, delivery.event.identity, decision.known));
        break;
      case 'reject':
        await (delivery.event && rejections.noteOwn(delivery.event, decision.record));
        await outcomes.publishEnd(decision.record);
        break;
      case 'repeat':
        await this.#repeat(delivery, decision.known, mayOwe);
        break;
      default:
    }
    if (mayOwe || delivery.errand) {
      await this.#payDues(delivery, view);
    }
  }

  /** A repeat gets the first answer. After a crash its outcome may not have gone out: better twice than never. */
  async #repeat(delivery: Delivery, known: EventRecord, mayOwe: boolean): Promise<void> {
    const { clock, outcomes, rejections } = this.#parts;
    const age = clock.now().getTime() - Date.parse(known.finishedAt ?? '');
    // Whoever ended it may not have had its body.
    if (known.status === 'rejected' && delivery.event) {
      await rejections.noteOwn(delivery.event, known);
    }
    if (mayOwe || age < copiesAreSwallowedForMs) {
      await outcomes.publishEnd(known);
    }
  }

  /** In this order: publish, clear, send the look. A stop anywhere is made good by the redelivery. */
  async #finished(
    delivery: Delivery,
    before: LedgerView,
    after: LedgerView,
    ended: readonly EventRecord[],
  ): Promise<void> {
    await Promise.all(ended.map((record) => this.#parts.outcomes.publishEnd(record)));
    if (after.state.outcomesDue) {
      await this.#outcomesDue.publish(
        after,
        ended.map(({ key }) => key),
      );
    }
    const { look } = after.state;
    if (look !== undefined && (look !== before.state.look || mayHaveStopped(delivery))) {
      await this.#sendLook(after, look);
    }
  }

  /** What an earlier delivery of this message may have left undone. */
  async #payDues(delivery: Delivery, view: LedgerView): Promise<void> {
    const { state } = await this.#parts.ledger.read(view.subject);
    if (state.outcomesDue) {
      await this.#outcomesDue.publish({ ...view, state }, []);
    }
    if (state.look === undefined) {
      return;
    }
    const isOwn = delivery.errand && 'look' in delivery.errand && delivery.errand.look === state.look;
    if (isOwn) {
      // Somebody holds just now: it has to come again.
      await this.#again(delivery, this.#soon(lookAfterMs, lookAfterMs), undefined);
    } else {
      await this.#sendLook(view, state.look);
    }
  }

  /** Later every time: however many devices wait for a place, their messages must not keep the queue busy. */
  #parkedUntil({ attempt }: Delivery): Date {
    const [from, to] = parkedForSlotInMs;
    const growth = Math.min(attempt, 8);
    return this.#soon(from * growth, to * growth);
  }

  #soon(fromInMs: number, toInMs: number): Date {
    const { clock, random = Math.random } = this.#parts;
    return new Date(clock.now().getTime() + fromInMs + random() * (toInMs - fromInMs));
  }

  #sendLook({ subject }: LedgerView, look: string): Promise<void> {
    const notBefore = new Date(this.#parts.clock.now().getTime() + lookAfterMs);
    return this.#parts.background.complete({ subject, errand: { look }, attempt: 1, notBefore });
  }

  /** A full list has room again in a moment; what waits for another event comes later every time. */
  #reschedule(delivery: Delivery, isSoonOver: boolean): Promise<void> {
    const longest = rescheduledInMs * (isSoonOver ? 2 : Math.min(30, delivery.attempt));
    return this.#again(delivery, this.#soon(rescheduledInMs, longest), undefined);
  }

  /** The message's successor: of the same chain, under another message id. Without an error it is no failed attempt. */
  async #again(delivery: Delivery, notBefore: Date, error: RetryLaterError | undefined): Promise<void> {
    const { bus, background, log } = this.#parts;
    const { subject, event, errand, chain, attempt, nonce } = delivery;
    if (error) {
      log('warning', 'event-waits', {
        key: event?.identity.key,
        subject: event ? undefined : `${subject.kind} ${subject.id}`,
        until: notBefore.toISOString(),
        why: error.message,
        trackingId: error.trackingId,
      });
    }
    const tries = delivery.tries + (error ? 1 : 0);
    if (errand) {
      await background.complete({ subject, errand, chain, attempt: attempt + 1, tries, nonce, notBefore });
      return;
    }
    if (!event) {
      return;
    }
    const { message, identity } = event;
    await bus.queueEvents([queuedAgain(message, identity.key, { tries, nonce, notBefore })]);
  }
}

/** Then reading first would be in vain: only what a new device's first message says is there. */
function isFirstOfItsDevice(delivery: Delivery): boolean {
  const { event } = delivery;
  if (!event || mayHaveStopped(delivery) || event.message.announced || event.message.replay !== undefined) {
    return false;
  }
  const kind = event.evaluation.event?.kind;
  return kind !== undefined && isDefinitionKind(kind) && kind !== 'device.changed';
}

function retryLaterOf(error: unknown): RetryLaterError | undefined {
  if (error instanceof RetryLaterError) {
    return error;
  }
  if (error instanceof EventBusUnavailableError) {
    return new RetryLaterError(error.message, { soon: true, cause: error });
  }
  return error instanceof StorageUnavailableError
    ? new RetryLaterError(error.message, { cause: error })
    : undefined;
}
