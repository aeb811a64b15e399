import type { Clock } from '../clock.ts';
import { type EventBus, EventBusUnavailableError } from '../events/event-bus.ts';
import { sha256 } from '../events/event-identity.ts';
import { bringsKeys, type EventIdentity, type ManufacturingEvent } from '../events/manufacturing-event.ts';
import type { DecodedMessage } from '../events/queue-message.ts';
import { type ReadEvent, readEventText } from '../events/read-event.ts';
import type { EventWarning, Rejection } from '../events/rejection.ts';
import type { Log } from '../log.ts';
import { RowConflictError, StorageUnavailableError } from '../storage/tables.ts';
import { admit } from './admission.ts';
import type { BackgroundQueue } from './background-queue.ts';
import { KeyedLock } from './keyed-lock.ts';
import { LaterError } from './later-error.ts';
import { type Ledger, type LedgerEntry, subjectOf } from './ledger.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';
import type { EnrollmentProfiles } from './profiles.ts';
import { mergeEvent, mergeLeaf, withdrawDefinition } from './registers.ts';
import type { RejectedEvents } from './rejected-events.ts';
import { nextAttemptAt } from './retry-schedule.ts';
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
  readonly #locks = new KeyedLock();

  constructor(parts: EventProcessorParts) {
    this.#parts = parts;
  }

  /** Resolves when the message may be completed. Throws only for bugs and for a Service Bus that takes nothing. */
  async process(message: DecodedMessage): Promise<void> {
    const read = readEventText(message.text, message.firstSeen);
    const identity = read.kind === 'event' ? read.event : read.identity;
    if (!identity)
      return read.kind === 'rejected' ? this.#rejectUnread(message, read.key, read.rejection) : undefined;
    const subject = subjectOf(identity.subjectKind, identity.subject);
    // From now on, not from its turn: however many events of one device wait, their locks outlast it.
    const deadline = this.#parts.clock.now().getTime() + patienceInMs;
    await this.#locks.run(`${subject.kind} ${subject.id}`, () =>
      this.#inTurn({ message, read, identity, deadline, force: false, entry: undefined }),
    );
  }

  async #inTurn(turn: Turn): Promise<void> {
    const { ledger, clock } = this.#parts;
    const { message, identity } = turn;
    const subject = subjectOf(identity.subjectKind, identity.subject);
    const isFirst =
      message.deliveryCount === 1 && message.attempt === 1 && !message.announced && !message.replay;
    try {
      // A rejection is noted before the ledger is written, so it must be known not to be a repeat.
      const isNew = isFirst && !this.#judge(turn.read).rejection;
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
        return this.#later(turn, new LaterError(error.message, { soon: true, cause: error }));
      if (error instanceof RowConflictError)
        return this.#later(turn, new LaterError('Others write the device too often.', { soon: true }));
      if (error instanceof StorageUnavailableError)
        return this.#later(turn, new LaterError(error.message, { cause: error }));
      if (error instanceof LaterError) return this.#later(turn, error);
      throw error;
    }
  }

  async #attempt(turn: Turn, entry: LedgerEntry): Promise<void> {
    const { message, identity } = turn;
    const known = entry.event;
    if (known && known.fingerprint !== identity.fingerprint) return this.#rejectReuse(turn, known);
    const judgedAnew =
      known?.status === 'rejected' && message.replay !== undefined && known.replay !== message.replay;
    if (known && isFinal(known.status) && !judgedAnew) return this.#repeat(message, known);

    const judgement = this.#judge(turn.read);
    const record = this.#recordOf(turn, known, judgement.warnings);
    const state = this.#merged(turn, entry.state, judgement);
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

  #judge(read: ReadEvent): Judgement {
    if (read.kind === 'rejected') return { rejection: read.rejection, warnings: [] };
    const { event } = read;
    const {
      rejection,
      warnings,
      leafCertificate: leaf,
    } = admit(event, this.#parts.profiles, this.#parts.clock.now());
    const attestation = event.definition?.attestation;
    return {
      warnings,
      event,
      ...(rejection ? { rejection } : {}),
      ...(leaf === undefined ? {} : { leaf }),
      ...(bringsKeys(attestation) ? { suppliedKeys: attestation } : {}),
    };
  }

  #merged(turn: Turn, state: SubjectState, judgement: Judgement): SubjectState {
    const { event } = judgement;
    if (!event) return state;
    // What was valid at an earlier attempt, and is not now, is as if it had never come.
    const registers = judgement.rejection
      ? mergeLeaf(withdrawDefinition(state.registers, event.key), event)
      : mergeEvent(state.registers, event, turn.message.firstSeen);
    const lastEvent = judgement.rejection ? state.lastEvent : event.key;
    const changed = JSON.stringify(registers) !== JSON.stringify(state.registers);
    return {
      ...state,
      registers,
      revision: state.revision + (changed ? 1 : 0),
      ...(lastEvent === undefined ? {} : { lastEvent }),
      ...(changed ? { pendingSince: state.pendingSince ?? this.#parts.clock.now().toISOString() } : {}),
    };
  }

  #recordOf(turn: Turn, known: EventRecord | undefined, warnings: readonly EventWarning[]): EventRecord {
    const { identity, message } = turn;
    return {
      key: identity.key,
      source: identity.source,
      id: identity.id,
      type: identity.type,
      subject: identity.subject,
      ...(identity.time === undefined ? {} : { time: identity.time }),
      fingerprint: identity.fingerprint,
      status: 'processing',
      receivedAt: known?.receivedAt ?? message.firstSeen.toISOString(),
      attempts: Math.max(message.attempt, (known?.attempts ?? 0) + (message.deliveryCount > 1 ? 1 : 0), 1),
      warnings,
      ...(message.replay === undefined ? {} : { replay: message.replay }),
    };
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
    const finished: EventRecord = { ...record, status: ending.status, finishedAt: this.#now() };
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
    const finished: EventRecord = { ...record, ...rejection, status: 'rejected', finishedAt: this.#now() };
    await this.#note(turn.message, record.key, turn.identity, rejection);
    await this.#parts.ledger.write(entry, { ...(state ? { state } : {}), event: finished });
    await this.#parts.outcomes.publishEnd(finished);
  }

  async #rejectReuse(turn: Turn, known: EventRecord): Promise<void> {
    const { identity, message } = turn;
    const id = `${identity.key}-reuse-${sha256(message.text).slice(0, 8)}`;
    const rejection: Rejection = {
      reason: 'id-reuse',
      pointer: '/id',
      detail: `Source ${identity.source} has sent another event with the id ${identity.id} for ${identity.subject} before, at ${known.receivedAt}. Give every event an id of its own.`,
    };
    await this.#note(message, id, identity, rejection);
    await this.#parts.outcomes.publish({
      id,
      status: 'rejected',
      finishedAt: this.#now(),
      subject: identity.subject,
      event: identity,
      ...rejection,
      warnings: [],
    });
  }

  /** What is no event has no ledger row; it is recorded and answered all the same. */
  async #rejectUnread(message: DecodedMessage, key: string, rejection: Rejection): Promise<void> {
    try {
      await this.#note(message, key, undefined, rejection);
      const finishedAt = this.#now();
      await this.#parts.outcomes.publish({
        id: key,
        status: 'rejected',
        finishedAt,
        event: {},
        ...rejection,
        warnings: [],
      });
    } catch (error) {
      if (!(error instanceof StorageUnavailableError) && !(error instanceof EventBusUnavailableError))
        throw error;
      const later = new LaterError(error.message, { cause: error });
      return this.#queueAgain(message, key, nextAttemptAt(message.attempt, this.#parts.clock.now(), later));
    }
  }

  #note(
    message: DecodedMessage,
    key: string,
    identity: EventIdentity | undefined,
    rejection: Rejection,
  ): Promise<void> {
    const rejectedAt = this.#parts.clock.now();
    const { reason, pointer, trackingId } = rejection;
    this.#parts.log('warning', 'event-rejected', { key, reason, pointer, trackingId });
    return this.#parts.rejectedEvents.note({
      key,
      identity,
      rejection,
      text: message.text,
      firstSeen: message.firstSeen,
      rejectedAt,
      replay: message.replay,
    });
  }

  /** A repeat gets the first answer. After a crash its outcome may not have gone out: better twice than never. */
  async #repeat(message: DecodedMessage, known: EventRecord): Promise<void> {
    const age = this.#parts.clock.now().getTime() - Date.parse(known.finishedAt ?? '');
    const mayBeUnsent = message.deliveryCount > 1 || message.attempt > 1 || age < copiesAreSwallowedForMs;
    if (mayBeUnsent) await this.#parts.outcomes.publishEnd(known);
  }

  /** Nobody's fault: the event goes back to the queue for later, and its status says so. */
  async #later(turn: Turn, error: LaterError): Promise<void> {
    const { clock, log } = this.#parts;
    const { message, identity } = turn;
    const notBefore = nextAttemptAt(message.attempt, clock.now(), error);
    log('warning', 'event-waits', {
      key: identity.key,
      until: notBefore.toISOString(),
      why: error.message,
      trackingId: error.trackingId,
    });
    await this.#noteWaiting(turn, notBefore, error).catch((cause: unknown) => {
      // The status is a courtesy; that the event is tried again is not.
      if (!(cause instanceof RowConflictError) && !(cause instanceof StorageUnavailableError)) throw cause;
    });
    await this.#queueAgain(message, identity.key, notBefore);
  }

  #queueAgain(message: DecodedMessage, key: string, notBefore: Date): Promise<void> {
    const { text: body, attempt, firstSeen, replay } = message;
    const again = { key, body, attempt: attempt + 1, firstSeen, notBefore, replay, announced: true };
    return this.#parts.bus.queueEvents([again]);
  }

  async #noteWaiting(turn: Turn, notBefore: Date, error: LaterError): Promise<void> {
    const { entry } = turn;
    // What was only announced is not merged yet, and a sweep must not take it for that.
    if (!entry?.event || isFinal(entry.event.status) || entry.event.status === 'accepted') return;
    const event: EventRecord = {
      ...entry.event,
      status: 'retrying',
      attempts: turn.message.attempt,
      nextAttemptAt: notBefore.toISOString(),
      detail: error.message,
      ...(error.trackingId === undefined ? {} : { trackingId: error.trackingId }),
    };
    await this.#parts.ledger.write(entry, { event });
  }

  #now(): string {
    return this.#parts.clock.now().toISOString();
  }
}

/** From its first failed attempt until that is over an event is `retrying`, even while it is tried. */
function whatItWaitsFor(known: EventRecord | undefined): Partial<EventRecord> {
  if (known?.status !== 'retrying') return { status: 'processing' };
  const { status, nextAttemptAt, detail, trackingId } = known;
  return {
    status,
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt }),
    ...(detail === undefined ? {} : { detail }),
    ...(trackingId === undefined ? {} : { trackingId }),
  };
}

interface Turn {
  readonly message: DecodedMessage;
  readonly read: ReadEvent;
  readonly identity: EventIdentity;
  readonly deadline: number;
  force: boolean;
  entry: LedgerEntry | undefined;
}

interface Judgement {
  readonly rejection?: Rejection;
  readonly warnings: readonly EventWarning[];
  readonly event?: ManufacturingEvent;
  readonly leaf?: string;
  readonly suppliedKeys?: Extract<
    NonNullable<ManufacturingEvent['definition']>['attestation'],
    { type: 'symmetricKey' }
  >;
}
