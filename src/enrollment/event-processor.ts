import type { Clock } from '../clock.ts';
import { bugReport } from '../events/bug-report.ts';
import { type EventBus, EventBusUnavailableError } from '../events/event-bus.ts';
import type { EventIdentity } from '../events/manufacturing-event.ts';
import { type DecodedMessage, readMessage } from '../events/queue-message.ts';
import type { ReadEvent } from '../events/read-event.ts';
import type { Rejection } from '../events/rejection.ts';
import type { Log } from '../log.ts';
import { RowConflictError, StorageUnavailableError } from '../storage/tables.ts';
import { aboutSubject } from './about-subject.ts';
import type { BackgroundQueue } from './background-queue.ts';
import { type EventJudgement, judgedBySender, judgeEvent, mergedState } from './event-judgement.ts';
import { EventPostponement } from './event-postponement.ts';
import { recordOf, whatItWaitsFor } from './event-record.ts';
import { EventRejections } from './event-rejections.ts';
import { KeyedLock } from './keyed-lock.ts';
import { LaterError } from './later-error.ts';
import { type Ledger, type LedgerEntry, subjectOf } from './ledger.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';
import type { EnrollmentProfiles } from './profiles.ts';
import type { RejectedEvents } from './rejected-events.ts';
import { type Senders, senderRejection } from './senders.ts';
import { endingOf, type SubjectSettlement } from './subject-settlement.ts';
import { type EventRecord, inSync, isFinal, type SubjectState } from './subject-state.ts';

/** How long an invocation waits for tokens and for DPS, while its message's lock is renewed. */
const patienceInMs = 60_000;
/** After so many lost races somebody else's writes are let through first. */
const conflictsToLose = 20;
/** Service Bus swallows copies of an outcome within its duplicate detection window. */
const copiesAreSwallowedForMs = 10 * 60_000;

export interface EventProcessorParts {
  readonly ledger: Ledger;
  readonly settlement: SubjectSettlement;
  readonly profiles: EnrollmentProfiles;
  readonly senders: Senders;
  readonly rejectedEvents: RejectedEvents;
  readonly outcomes: OutcomePublisher;
  readonly bus: EventBus;
  readonly background: BackgroundQueue;
  readonly clock: Clock;
  readonly log: Log;
}

/** One message, from its delivery to its event's outcome, or to the moment when it is tried again. */
export class EventProcessor {
  readonly #parts: EventProcessorParts;
  readonly #rejections: EventRejections;
  readonly #postponement: EventPostponement;
  readonly #locks = new KeyedLock();

  constructor(parts: EventProcessorParts) {
    this.#parts = parts;
    this.#rejections = new EventRejections(parts);
    this.#postponement = new EventPostponement(parts);
  }

  /** Resolves when the message may be completed. Throws only for bugs and for a Service Bus that takes nothing. */
  async process(message: DecodedMessage): Promise<void> {
    try {
      await this.#process(message);
    } catch (error) {
      throw bugReport(error, message.text);
    }
  }

  async #process(message: DecodedMessage): Promise<void> {
    const read = readMessage(message);
    const identity = read.kind === 'event' ? read.event : read.identity;
    if (!identity) return read.kind === 'rejected' ? this.#rejectUnread(message, read) : undefined;
    const subject = subjectOf(identity.subjectKind, identity.subject);
    // From now on, not from its turn: however many events of one device wait, their locks outlast it.
    const deadline = this.#parts.clock.now().getTime() + patienceInMs;
    await this.#locks.run(`${subject.kind} ${subject.id}`, () =>
      this.#inTurn({ message, read, identity, deadline, force: false, entry: undefined }),
    );
  }

  /** What is no event has no ledger row and no turn; it is recorded and answered all the same. */
  async #rejectUnread(
    message: DecodedMessage,
    read: Extract<ReadEvent, { kind: 'rejected' }>,
  ): Promise<void> {
    try {
      await this.#rejections.ofUnread(message, read);
    } catch (error) {
      if (!(error instanceof StorageUnavailableError) && !(error instanceof EventBusUnavailableError))
        throw error;
      await this.#postponement.queueAgain(message, read.key, new LaterError(error.message, { cause: error }));
    }
  }

  async #inTurn(turn: Turn): Promise<void> {
    const { ledger, clock } = this.#parts;
    const { message, identity } = turn;
    const subject = subjectOf(identity.subjectKind, identity.subject);
    const isFirst =
      message.deliveryCount === 1 && message.attempt === 1 && !message.announced && !message.replay;
    try {
      // A rejection is noted before the ledger is written, so it must be known not to be a repeat.
      const isNew = isFirst && !this.#judge(turn).rejection;
      turn.entry = isNew ? ledger.blank(subject, identity.key) : await ledger.read(subject, identity.key);
      for (let lost = 0; ; lost++) {
        try {
          return await this.#attempt(turn, turn.entry);
        } catch (error) {
          if (!(error instanceof RowConflictError) || lost >= conflictsToLose) throw error;
          await clock.sleep(Math.random() * 10 * Math.min(lost, 10));
          turn.entry = await ledger.read(subject, identity.key);
        }
      }
    } catch (error) {
      if (error instanceof EventBusUnavailableError)
        return this.#postponement.postpone(turn, new LaterError(error.message, { soon: true, cause: error }));
      if (error instanceof RowConflictError)
        return this.#postponement.postpone(
          turn,
          new LaterError('Others write the device too often.', { soon: true }),
        );
      if (error instanceof StorageUnavailableError)
        return this.#postponement.postpone(turn, new LaterError(error.message, { cause: error }));
      if (error instanceof LaterError) return this.#postponement.postpone(turn, error);
      throw error;
    }
  }

  async #attempt(turn: Turn, entry: LedgerEntry): Promise<void> {
    const { message, identity } = turn;
    const known = entry.event;
    if (known && known.fingerprint !== identity.fingerprint)
      return this.#rejections.ofReuse(message, identity, known);
    const judgedAnew =
      known?.status === 'rejected' && message.replay !== undefined && known.replay !== message.replay;
    if (known && isFinal(known.status) && !judgedAnew) {
      const mayHaveWritten = turn.force || message.deliveryCount > 1 || message.attempt > 1;
      if (mayHaveWritten) await this.#lookAfter(turn, entry);
      return this.#repeat(message, known);
    }

    const forbidden = senderRejection(
      this.#parts.senders,
      message.sender,
      identity.key,
      entry.state.registers,
    );
    const judgement = judgedBySender(this.#judge(turn), forbidden);
    const record = recordOf(identity, message, known, judgement.warnings);
    const state = mergedState(entry.state, judgement, message.firstSeen, this.#parts.clock.now());
    // A crash, or a lost race, may have left a write in DPS that no row speaks of.
    const begunBefore = known?.status === 'processing' || known?.status === 'retrying';
    const force = turn.force || message.deliveryCount > 1 || message.attempt > 1 || begunBefore;
    if (judgement.rejection && judgement.leaf === undefined)
      return this.#reject(
        turn,
        entry,
        record,
        judgement.rejection,
        state.revision === entry.state.revision ? undefined : state,
      );
    if (!force && this.#parts.settlement.isSettledAsItIs(entry, state))
      return this.#finish(turn, entry, inSync(state), record, judgement.rejection);

    const begun = await this.#parts.ledger.write(entry, {
      state: this.#parts.settlement.begun(entry, state),
      event: { ...record, ...whatItWaitsFor(known) },
    });
    turn.entry = begun;
    turn.force = true;
    const settled = await this.#parts.settlement.settle(begun, {
      deadline: turn.deadline,
      mayExist: force || state.mayExist,
      key: identity.key,
      suppliedKeys: judgement.suppliedKeys,
    });
    turn.entry = settled.entry;
    if (settled.unfinished) {
      await this.#parts.ledger.write(settled.entry, { state: settled.state });
      return this.#parts.background.continueRetirement(identity.subject.toLowerCase());
    }
    await this.#finish(
      turn,
      settled.entry,
      settled.state,
      { ...record, facts: settled.facts },
      judgement.rejection,
    );
  }

  /**
   * While another delivery ended the event, this one, or one that is dead by now, may have told DPS what was true when it
   * began, after newer events had told it better.
   */
  async #lookAfter(turn: Turn, entry: LedgerEntry): Promise<void> {
    if (entry.stateEtag === undefined) return;
    const { settlement, ledger, background } = this.#parts;
    const settled = await settlement.settle(entry, { deadline: turn.deadline, mayExist: true });
    turn.entry = settled.entry;
    await ledger.write(settled.entry, { state: settled.state });
    if (settled.unfinished) await background.continueRetirement(entry.subject.id);
  }

  #judge({ read }: Turn): EventJudgement {
    return judgeEvent(read, this.#parts.profiles, this.#parts.clock.now());
  }

  async #finish(
    turn: Turn,
    entry: LedgerEntry,
    state: SubjectState,
    record: EventRecord,
    rejection: Rejection | undefined,
  ): Promise<void> {
    if (rejection || turn.read.kind === 'rejected')
      return this.#reject(turn, entry, record, rejection, state);
    const { ending, state: remaining } = endingOf(state, turn.read.event);
    if (ending.status === 'rejected') return this.#reject(turn, entry, record, ending.rejection, remaining);
    if (ending.status === 'crowded-out')
      throw new LaterError('DPS refused all newer definitions, so this one is in force again.', {
        soon: true,
      });
    const about = aboutSubject(entry.subject, definitionOf(turn.read), state.registers);
    const finished: EventRecord = { ...record, about, status: ending.status, finishedAt: this.#now() };
    await this.#parts.ledger.write(entry, { state: remaining, event: finished });
    await this.#parts.outcomes.publishEnd(finished);
  }

  async #reject(
    turn: Turn,
    entry: LedgerEntry,
    record: EventRecord,
    rejection: Rejection | undefined,
    state?: SubjectState,
  ): Promise<void> {
    if (!rejection) return;
    const about = aboutSubject(entry.subject, definitionOf(turn.read), entry.state.registers);
    const finished: EventRecord = {
      ...record,
      ...rejection,
      about,
      status: 'rejected',
      finishedAt: this.#now(),
    };
    await this.#rejections.note(turn.message, record.key, turn.identity, rejection);
    await this.#parts.ledger.write(entry, { ...(state ? { state } : {}), event: finished });
    await this.#parts.outcomes.publishEnd(finished);
  }

  /** A repeat gets the first answer. After a crash its outcome may not have gone out: better twice than never. */
  async #repeat(message: DecodedMessage, known: EventRecord): Promise<void> {
    const age = this.#parts.clock.now().getTime() - Date.parse(known.finishedAt ?? '');
    const mayBeUnsent = message.deliveryCount > 1 || message.attempt > 1 || age < copiesAreSwallowedForMs;
    if (mayBeUnsent) await this.#parts.outcomes.publishEnd(known);
  }

  #now(): string {
    return this.#parts.clock.now().toISOString();
  }
}

function definitionOf({ event }: ReadEvent) {
  return event?.definition;
}

interface Turn {
  readonly message: DecodedMessage;
  readonly read: ReadEvent;
  readonly identity: EventIdentity;
  readonly deadline: number;
  force: boolean;
  entry: LedgerEntry | undefined;
}
