import type { EventKey } from '../../events/event-identity.ts';
import { aboutSubject } from '../ledger/about-subject.ts';
import { awaitedKeys, type DesiredState } from '../ledger/desired-state.ts';
import { recordOf } from '../ledger/event-record.ts';
import { bringsUnappliedKeys } from '../ledger/keys-register.ts';
import { continues, isOver, leaseOf, parked } from '../ledger/lease.ts';
import { noRegisters } from '../ledger/registers.ts';
import { type EventRecord, isFinal, type SubjectState } from '../ledger/subject-state.ts';
import type { DeliveredEvent, Delivery } from './delivery.ts';
import { evaluatedBySender, mergedRegisters } from './event-evaluation.ts';

/** A transaction takes 100 rows, an entity 1 MiB of UTF-16. */
const pendingAtMost = 80;
const stateCharactersAtMost = 450_000;

/** What is to be done with a delivery once the transaction that it goes into is written. */
export type Decision =
  /** Another event under an id that is taken. */
  | { readonly kind: 'reuse'; readonly known: EventRecord }
  /** Its event has ended: the same outcome again. */
  | { readonly kind: 'repeat'; readonly known: EventRecord }
  | { readonly kind: 'reject'; readonly record: EventRecord }
  /** This delivery completes. `listIsFull`: first the others, then its own event. */
  | { readonly kind: 'hold'; readonly mayExist: boolean; readonly listIsFull: boolean }
  /** The lease waits for this message to come again. */
  | { readonly kind: 'park' }
  /** It cannot be merged or completed yet: the message has to come again. */
  | { readonly kind: 'reschedule'; readonly isSoonOver: boolean }
  /** Somebody else completes. */
  | { readonly kind: 'leave' };

export interface Evaluation {
  readonly decision: Decision;
  /** As it should be written; absent where nothing changed. */
  readonly state?: SubjectState;
  readonly record?: EventRecord;
}

export interface MergeContext {
  readonly now: Date;
  /** This invocation has held a lease before, and lost it or given it back. */
  readonly hasHeld: boolean;
  desired(state: SubjectState): DesiredState;
  /** Half of an instance's invocations may hold: the others go on merging. */
  takeSlot(): boolean;
}

/** For one more event that is not pending yet. */
export function hasRoom({ pending }: SubjectState): boolean {
  return pending.length < pendingAtMost;
}

/** Decides what becomes of one delivery, given the rows as they are. Pure but for the slot that it may take. */
export function evaluateDelivery(
  state: SubjectState,
  known: EventRecord | undefined,
  delivery: Delivery,
  context: MergeContext,
): Evaluation {
  const { event } = delivery;
  if (event && known && known.fingerprint !== event.identity.fingerprint) {
    return { decision: { kind: 'reuse', known } };
  }
  const isReplayed = event !== undefined && isEvaluatedAnew(known, event);
  const isMine = state.lease !== undefined && continues(state.lease, delivery, context.hasHeld);
  if (known && isFinal(known.status) && !isReplayed && !isMine) {
    return { decision: { kind: 'repeat', known } };
  }
  const isNew = event !== undefined && (!known || known.status === 'accepted' || isReplayed);
  if (!isNew) {
    return evaluateLease(
      { before: state, merged: state, known, delivery, isMine, listIsFull: false },
      context,
    );
  }
  const evaluated = {
    ...event,
    evaluation: evaluatedBySender(event.evaluation, event.forbidden(state.registers)),
  };
  if (evaluated.evaluation.rejection && evaluated.evaluation.leafCertificate === undefined) {
    const record = rejectedRecord(evaluated, known, state, delivery, context.now);
    return { decision: { kind: 'reject', record }, record };
  }
  const merged = mergedState(state, evaluated, pendingRecord(evaluated, known, delivery), context.now);
  const record = merged.pending.at(-1);
  const isFull =
    merged.pending.length > pendingAtMost || JSON.stringify(merged).length > stateCharactersAtMost;
  return isFull
    ? evaluateLease({ before: state, merged: state, delivery, isMine, listIsFull: true }, context)
    : evaluateLease({ before: state, merged, record, delivery, isMine, listIsFull: false }, context);
}

interface Candidate {
  readonly before: SubjectState;
  readonly merged: SubjectState;
  /** Of the event, where this delivery merges it. */
  readonly record?: EventRecord | undefined;
  /** Of the event, where it was merged before. */
  readonly known?: EventRecord | undefined;
  readonly delivery: Delivery;
  readonly isMine: boolean;
  readonly listIsFull: boolean;
}

function evaluateLease(candidate: Candidate, context: MergeContext): Evaluation {
  const { before, merged, record, delivery, isMine, listIsFull } = candidate;
  const { event } = delivery;
  const own = event?.identity.key;
  const desired = context.desired(merged);
  const awaited = awaitedKeys(desired, merged.registers);
  const takes =
    (awaited === undefined || awaited === own) &&
    (isMine || mayTake(merged, delivery, own, listIsFull, context));
  const written = record ? { state: merged, record } : {};
  if (!takes) {
    const state = isMine ? withLease(merged, undefined, before, delivery) : written.state;
    const decision = withoutLease(merged, delivery, listIsFull, context.now);
    const kept = decision.kind === 'leave' ? withBody(candidate) : undefined;
    // With the state, so that a holder that has looked for the body already looks again.
    const left = kept ? { state: { ...(state ?? merged) }, record: kept } : record ? { record } : {};
    return { ...(state ? { state } : {}), ...left, decision };
  }
  const mayExist = before.lease?.nonce === undefined ? before.mayExist : true;
  const lease = leaseOf(delivery, own, context.now.getTime());
  // What is not in DPS yet is created ten at a time and waits for nobody.
  const holds = before.lease?.nonce === delivery.nonce || !mayExist || context.takeSlot();
  if (!holds) {
    return {
      ...written,
      state: withLease(merged, parked(lease), before, delivery),
      decision: { kind: 'park' },
    };
  }
  const taken = withLease(merged, lease, before, delivery);
  const state = tellsDps(desired) ? { ...taken, mayExist: true } : taken;
  return { ...written, state, decision: { kind: 'hold', mayExist, listIsFull } };
}

function mayTake(
  state: SubjectState,
  delivery: Delivery,
  own: EventKey | undefined,
  listIsFull: boolean,
  { hasHeld, now }: MergeContext,
): boolean {
  const { lease } = state;
  if ((hasHeld && lease) || !hasWork(state, delivery)) {
    return false;
  }
  if (!lease) {
    return true;
  }
  // A newer delivery of this message has it, or it is parked for one.
  if (lease.chain === delivery.chain) {
    return false;
  }
  const cannotBeCompletedYet = own === undefined || listIsFull || bringsUnappliedKeys(state.registers, own);
  const isFree = isOver(lease, now) || (wantsItNow(delivery) && lease.nonce === undefined);
  return cannotBeCompletedYet && isFree;
}

function wantsItNow({ errand }: Delivery): boolean {
  return errand !== undefined && 'recovery' in errand && errand.now === true;
}

function hasWork(state: SubjectState, { errand }: Delivery): boolean {
  if (!errand) {
    return state.pending.length > 0;
  }
  if ('look' in errand) {
    return state.look === errand.look;
  }
  const isPending = state.pending.length > 0 && state.pendingSince === errand.pendingSince;
  return isPending || (state.look !== undefined && state.look === errand.pendingLook);
}

function isHeldByOthers({ lease }: SubjectState, { chain }: Delivery, now: Date): boolean {
  return lease?.nonce !== undefined && lease.chain !== chain && !isOver(lease, now);
}

function withoutLease(state: SubjectState, delivery: Delivery, listIsFull: boolean, now: Date): Decision {
  if (listIsFull) {
    return { kind: 'reschedule', isSoonOver: true };
  }
  const own = delivery.event?.identity.key;
  // Nobody else can apply these keys: their message must stay alive.
  if (own !== undefined && bringsUnappliedKeys(state.registers, own)) {
    return { kind: 'reschedule', isSoonOver: false };
  }
  // A stalled delivery of it may take the lease once that is parked, and stop: its message must not be gone by then.
  if (wantsItNow(delivery) && hasWork(state, delivery) && isHeldByOthers(state, delivery, now)) {
    return { kind: 'reschedule', isSoonOver: false };
  }
  return { kind: 'leave' };
}

/** Whoever takes, or gives back, a lease that another invocation held does not know what that one has told DPS. */
function withLease(
  state: SubjectState,
  lease: SubjectState['lease'],
  before: SubjectState,
  delivery: Delivery,
): SubjectState {
  const { lease: _, ...rest } = state;
  const next = lease ? { ...rest, lease } : rest;
  const holder = before.lease?.nonce;
  if (holder === undefined || holder === delivery.nonce) {
    return next;
  }
  const { dps: __, ...unknown } = next;
  return { ...unknown, inDoubt: true };
}

function tellsDps({ kind }: DesiredState): boolean {
  return kind === 'enrollment' || kind === 'blocked' || kind === 'group';
}

function isEvaluatedAnew(known: EventRecord | undefined, { message }: DeliveredEvent): boolean {
  return known?.status === 'rejected' && message.replay !== undefined && known.replay !== message.replay;
}

function rejectedRecord(
  event: DeliveredEvent,
  known: EventRecord | undefined,
  { registers }: SubjectState,
  { subject }: Delivery,
  now: Date,
): EventRecord {
  const { identity, evaluation, message, definition } = event;
  const record = recordOf(identity, message, known, evaluation.warnings);
  const about = aboutSubject(subject, definition, registers);
  return { ...record, ...evaluation.rejection, about, status: 'rejected', finishedAt: now.toISOString() };
}

/** One that is rejected, and merged for its leaf certificate alone, knows its reason from the start. */
function pendingRecord(
  event: DeliveredEvent,
  known: EventRecord | undefined,
  { subject }: Delivery,
): EventRecord {
  const { identity, evaluation, message, definition } = event;
  const about = definition ? { about: aboutSubject(subject, definition, noRegisters) } : {};
  return { ...recordOf(identity, message, known, evaluation.warnings), ...evaluation.rejection, ...about };
}

/** Its message will be gone, and DPS may reject it yet: then it must be there for the person who mends it. */
function withBody({ record, known, delivery, merged }: Candidate): EventRecord | undefined {
  const current = record ?? known;
  const isPending = merged.pending.some(({ key }) => key === current?.key);
  if (!current || !isPending || !delivery.event?.definition || current.body !== undefined) {
    return undefined;
  }
  const body = delivery.event?.keptBody();
  return body === undefined ? undefined : { ...current, body };
}

function mergedState(
  state: SubjectState,
  { identity, evaluation, message }: DeliveredEvent,
  record: EventRecord,
  now: Date,
): SubjectState {
  return {
    ...state,
    registers: mergedRegisters(state.registers, evaluation, message.firstSeen),
    revision: state.revision + 1,
    pending: [...state.pending.filter(({ key }) => key !== identity.key), record],
    ...(evaluation.rejection ? {} : { lastEvent: identity.key }),
    pendingSince: state.pendingSince ?? now.toISOString(),
  };
}
