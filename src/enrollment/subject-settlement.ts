import type { DeviceRegistrationState } from '../dps/models.ts';
import type { EventKey } from '../events/event-identity.ts';
import { parseInstant } from '../events/instant.ts';
import { eventKinds, type SymmetricKeyData } from '../events/manufacturing-event.ts';
import { type DesiredState, desiredState } from './desired-state.ts';
import type { GroupRetirement } from './group-retirement.ts';
import { forgetKeys, keysApplied } from './keys-register.ts';
import { LaterError } from './later-error.ts';
import type { Ledger, LedgerEntry } from './ledger.ts';
import type { EnrollmentProfiles } from './profiles.ts';
import type { Reconciler } from './reconciler.ts';
import { definitionAccepted, type Judged, returnDone, verdictOf, withdrawDefinition } from './registers.ts';
import { type EventRecord, inSync, isInSync, type OutcomeFacts, type SubjectState } from './subject-state.ts';
import { RefusedError } from './write-answers.ts';

export interface SettlementEffort {
  /** Milliseconds since 1970. */
  readonly deadline: number;
  /** An enrollment or group may be there: an earlier attempt may have written to DPS without saying so. */
  readonly mayExist: boolean;
  /** The event whose message is at hand, and the keys that it brought. */
  readonly key?: EventKey | undefined;
  readonly suppliedKeys?: SymmetricKeyData | undefined;
}

export interface Settled {
  readonly entry: LedgerEntry;
  /** The state as it should be written now, in sync; not written yet. */
  readonly state: SubjectState;
  readonly facts: OutcomeFacts;
  /** A retired batch has more registration records than fit one attempt: the rest goes on in the background. */
  readonly unfinished: boolean;
}

/** Brings DPS in line with the state of one device or batch. What is then true is for the caller to write. */
export class SubjectSettlement {
  readonly #ledger: Ledger;
  readonly #profiles: EnrollmentProfiles;
  readonly #reconciler: Reconciler;
  readonly #retirement: GroupRetirement;

  constructor(
    ledger: Ledger,
    profiles: EnrollmentProfiles,
    reconciler: Reconciler,
    retirement: GroupRetirement,
  ) {
    this.#ledger = ledger;
    this.#profiles = profiles;
    this.#reconciler = reconciler;
    this.#retirement = retirement;
  }

  desired(entry: Pick<LedgerEntry, 'subject'>, state: SubjectState): DesiredState {
    return desiredState(entry.subject.kind, entry.subject.id, state.registers, this.#profiles);
  }

  /** Whether there is nothing to ask or tell DPS, so that one write settles the event. */
  isSettledAsItIs(entry: LedgerEntry, state: SubjectState): boolean {
    if (isInSync(state)) return true;
    if (state.registers.return && !state.registers.return.done) return false;
    const { kind } = this.desired(entry, state);
    return kind === 'nothing' || (kind === 'member' && !state.mayExist);
  }

  /** The state to write before DPS is asked for anything: if this is the end of us, others know what may be there. */
  begun(entry: LedgerEntry, state: SubjectState): SubjectState {
    return exists(this.desired(entry, state)) ? { ...state, mayExist: true } : state;
  }

  async settle(entry: LedgerEntry, effort: SettlementEffort): Promise<Settled> {
    let current = entry;
    for (;;) {
      const desired = this.desired(current, current.state);
      refuseToGuessKeys(desired, current.state, effort.key);
      try {
        return await this.#apply(current, desired, effort);
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        current = await this.#withdraw(current, error);
      }
    }
  }

  async #apply(entry: LedgerEntry, desired: DesiredState, effort: SettlementEffort): Promise<Settled> {
    const { deadline, mayExist } = effort;
    const unfinished =
      desired.kind === 'no-group' && (await this.#retirement.slice(entry.subject.id, deadline)) === 'more';
    if (!unfinished)
      await this.#reconciler.apply(entry.subject.id, desired, {
        deadline,
        mayExist,
        // What only may be there, since DPS was down when it was tried first, say, most often is not.
        isThere: mayExist && entry.state.registers.definitions.some(({ accepted }) => accepted),
        // The keys of an event whose register another one holds by now are nobody's.
        suppliedKeys: holdsKeys(entry.state, effort.key) ? effort.suppliedKeys : undefined,
        confirm: () => this.#ledger.confirm(entry),
      });
    const after = await this.#returned(entry, effort);
    const state = stateAfter(after.entry.state, desired, unfinished);
    const registration = await this.#registrationFor(entry, desired, state, after.registration, deadline);
    return { entry: after.entry, state, facts: factsOf(entry, desired, state, registration), unfinished };
  }

  /** Deletes the registration record that the return register speaks of; last, so that nothing lets the device back. */
  async #returned(
    entry: LedgerEntry,
    effort: SettlementEffort,
  ): Promise<{ entry: LedgerEntry; registration?: DeviceRegistrationState | undefined }> {
    const register = entry.state.registers.return;
    if (!register || register.done) return { entry };
    const registration = await this.#reconciler.registrationState(entry.subject.id, effort.deadline);
    if (!registration) return { entry };
    let current = entry;
    const hub = registration.status === 'assigned' ? registration.assignedHub : undefined;
    if (hub !== undefined && hub !== entry.state.assignedHub)
      // Written first: once the record is gone, nobody else knows where the device is connected.
      current = await this.#ledger.write(entry, { state: { ...entry.state, assignedHub: hub } });
    await this.#reconciler.removeRegistration(registration, register.notAfter, effort.deadline);
    return { entry: current, registration };
  }

  /** Of a device that is kept out the outcome says whether it is still connected somewhere. */
  async #registrationFor(
    entry: LedgerEntry,
    desired: DesiredState,
    state: SubjectState,
    known: DeviceRegistrationState | undefined,
    deadline: number,
  ): Promise<DeviceRegistrationState | undefined> {
    if (entry.subject.kind === 'batch' || !isKeptOut(desired, state)) return undefined;
    return known ?? (await this.#reconciler.registrationState(entry.subject.id, deadline));
  }

  async #withdraw(entry: LedgerEntry, error: RefusedError): Promise<LedgerEntry> {
    const refused = entry.state.registers.definitions[0];
    if (!refused) throw error.cause;
    if (refused.accepted)
      // What else the enrollment is made of comes from the profile: no event is to blame, and none has taken effect.
      throw new LaterError(
        `DPS refuses what it accepted before. Mend the enrollment profile. ${error.message}`,
        {
          trackingId: error.cause.trackingId,
          cause: error.cause,
        },
      );
    const { key } = refused.stamp;
    const { trackingId, errorCode } = error.cause;
    const rejection = {
      reason: 'dps-rejected' as const,
      pointer: '/data',
      detail: errorCode === undefined ? error.message : `${errorCode}: ${error.message}`,
      ...(trackingId === undefined ? {} : { trackingId }),
    };
    return this.#ledger.write(entry, {
      state: {
        ...entry.state,
        registers: withdrawDefinition(entry.state.registers, key),
        revision: entry.state.revision + 1,
        refusals: { ...entry.state.refusals, [key]: rejection },
      },
    });
  }
}

export type Ending =
  | { readonly status: 'succeeded' | 'superseded' | 'crowded-out' }
  | { readonly status: 'rejected'; readonly rejection: NonNullable<SubjectState['refusals'][string]> };

/** How a merged event ends in a settled state, and the state that remains once it has ended. */
export function endingOf(
  state: SubjectState,
  event: Judged,
): { readonly ending: Ending; readonly state: SubjectState } {
  const { [event.key]: refusal, ...refusals } = state.refusals;
  const registers = forgetKeys(state.registers, event.key);
  const remaining = { ...state, registers, refusals };
  if (refusal) return { ending: { status: 'rejected', rejection: refusal }, state: remaining };
  const verdict = verdictOf(registers, event);
  if (verdict !== 'device-scrapped') return { ending: { status: verdict }, state: remaining };
  const rejection = {
    reason: 'device-scrapped' as const,
    pointer: '/data/remanufactured',
    detail:
      'The device was scrapped earlier. If it was built anew, send device.manufactured with remanufactured true; what this event says is remembered until then.',
  };
  return { ending: { status: 'rejected', rejection }, state: remaining };
}

/** What decides how a recorded event ends; undefined if it was recorded without being merged. */
export function judgedFrom(record: EventRecord): Judged | undefined {
  const instant = parseInstant(record.time ?? '');
  const meaning = record.type.split('.').slice(-2).join('.');
  const kind = eventKinds.find((each) => each === meaning);
  const { key, source, id } = record;
  return instant && kind ? { key, kind, instant, source, id } : undefined;
}

/** Supplied keys exist in their message alone: only that may make or change the enrollment until they are in DPS. */
function refuseToGuessKeys(desired: DesiredState, state: SubjectState, own: EventKey | undefined): void {
  const { keys } = state.registers;
  if (!keys || keys.applied || keys.stamp.key === own || !wantsSymmetricKeys(desired)) return;
  throw new LaterError(`Waits for event ${keys.stamp.key}, which brings the device's keys.`, { soon: true });
}

function holdsKeys(state: SubjectState, key: EventKey | undefined): boolean {
  return key !== undefined && state.registers.keys?.stamp.key === key;
}

function wantsSymmetricKeys(desired: DesiredState): boolean {
  if (desired.kind === 'enrollment') return desired.enrollment.attestation.type === 'symmetricKey';
  return desired.kind === 'group' && desired.group.attestation.type === 'symmetricKey';
}

function stateAfter(state: SubjectState, desired: DesiredState, unfinished: boolean): SubjectState {
  let registers = returnDone(state.registers);
  if (desired.kind === 'enrollment' || desired.kind === 'group') registers = definitionAccepted(registers);
  if (wantsSymmetricKeys(desired)) registers = keysApplied(registers);
  if (unfinished) return { ...state, registers, mayExist: true };
  const mayExist = desired.kind === 'nothing' ? state.mayExist : exists(desired);
  return inSync({ ...state, registers, mayExist });
}

/** Whether something of ours is to be in DPS under the subject's own id. */
function exists({ kind }: DesiredState): boolean {
  return kind === 'enrollment' || kind === 'blocked' || kind === 'group';
}

function isKeptOut(desired: DesiredState, state: SubjectState): boolean {
  if (state.registers.life?.life === 'scrapped') return true;
  if (desired.kind === 'blocked') return true;
  return desired.kind === 'enrollment' && desired.enrollment.provisioningStatus === 'disabled';
}

function factsOf(
  entry: LedgerEntry,
  desired: DesiredState,
  state: SubjectState,
  registration: DeviceRegistrationState | undefined,
): OutcomeFacts {
  const hub = registration?.status === 'assigned' ? registration.assignedHub : undefined;
  const assignedHub = isKeptOut(desired, state)
    ? (hub ?? (registration ? undefined : state.assignedHub))
    : undefined;
  const ended = state.registers.life?.life === 'recalled' || state.registers.life?.life === 'retired';
  const open = assignedHub !== undefined || (entry.subject.kind === 'batch' && ended);
  return {
    ...placeOf(desired),
    ...(assignedHub === undefined ? {} : { assignedHub }),
    ...(open ? { hubAccess: 'open' as const } : {}),
  };
}

/** Where DPS has the device or batch, as outcomes and pages tell it. */
export function placeOf(
  desired: DesiredState,
): Pick<OutcomeFacts, 'enrollmentGroupId' | 'provisioningStatus'> {
  switch (desired.kind) {
    case 'enrollment':
      return { provisioningStatus: desired.enrollment.provisioningStatus ?? 'enabled' };
    case 'group':
      return {
        enrollmentGroupId: desired.group.enrollmentGroupId,
        provisioningStatus: desired.group.provisioningStatus ?? 'enabled',
      };
    case 'member':
      return { enrollmentGroupId: desired.enrollmentGroupId, provisioningStatus: 'enabled' };
    case 'blocked':
      return { enrollmentGroupId: desired.enrollmentGroupId, provisioningStatus: 'disabled' };
    default:
      return {};
  }
}
