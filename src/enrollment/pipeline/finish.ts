import type { DeviceRegistrationState } from '../../dps/models.ts';
import { parseInstant } from '../../events/instant.ts';
import { eventKinds } from '../../events/manufacturing-event.ts';
import type { EventWarning, Rejection } from '../../events/rejection.ts';
import type { DpsRejectedError } from '../dps-access/dps-rejected-error.ts';
import type { Shown } from '../dps-access/reconciler.ts';
import type { RemoteEnrollment } from '../dps-access/remote-enrollment.ts';
import type { HubFindings } from '../hub-access/subject-hubs.ts';
import { aboutSubject } from '../ledger/about-subject.ts';
import { type DesiredState, isKeptOut, placeOf, wantsSymmetricKeys } from '../ledger/desired-state.ts';
import { forgetKeys, keysApplied } from '../ledger/keys-register.ts';
import {
  definitionAccepted,
  evaluateEnd,
  type MergedEvent,
  type Registers,
  returnDone,
  rollBackDefinition,
  withoutOlderDefinitions,
} from '../ledger/registers.ts';
import type { EventRecord, OutcomeFacts, SubjectRef, SubjectState } from '../ledger/subject-state.ts';

/** What DPS has shown of a device or batch, once it agrees. */
export interface Findings {
  readonly subject: SubjectRef;
  readonly desired: DesiredState;
  readonly remote: RemoteEnrollment;
  /** Where no event has defined what DPS should hold. */
  readonly shown: Shown | undefined;
  /** Read of devices that are kept out. */
  readonly registration: DeviceRegistrationState | undefined;
  /** Absent where the hubs are left alone. */
  readonly hubs: HubFindings | undefined;
}

export interface Finish {
  readonly state: SubjectState;
  readonly ended: readonly EventRecord[];
}

/** The state once DPS agrees with it, and the ends of all events that waited for that. */
export function finishedState(before: SubjectState, findings: Findings, now: Date): Finish {
  const { desired, remote, shown } = findings;
  const keys = before.pending.map(({ key }) => key);
  const registers = forgetKeys(appliedRegisters(before.registers, desired), keys);
  const facts = factsOf(before, findings);
  const ended = before.pending.map((pending) => {
    // Of a definition its own words, else what is known.
    const about = { ...aboutSubject(findings.subject, undefined, before.registers), ...pending.about };
    return endOf({ ...pending, about }, registers, { facts, shown, now });
  });
  const { revision, assignedHub, lastEvent, adoptedBy } = before;
  const state: SubjectState = {
    registers,
    revision,
    ...(assignedHub === undefined ? {} : { assignedHub }),
    ...(lastEvent === undefined ? {} : { lastEvent }),
    ...(adoptedBy === undefined ? {} : { adoptedBy }),
    ...(findings.hubs ? findings.hubs.known : hubsOf(before)),
    pending: [],
    mayExist: desired.kind === 'nothing' ? before.mayExist : remote.mayExist,
    ...(remote.known && desired.kind !== 'nothing' ? { dps: remote.known } : {}),
    ...closedOf(before, findings),
  };
  return { state, ended };
}

/** What is to be undone, should it be opened. In doubt a creation may still be under way: the look has to know whose it is. */
function closedOf(
  { closed }: SubjectState,
  { desired, remote, shown }: Findings,
): Pick<SubjectState, 'closed'> {
  const mayStillCome = closed === 'created' && shown === 'absent' && remote.inDoubt;
  return closed !== undefined && (desired.kind === 'shut' || mayStillCome) ? { closed } : {};
}

function appliedRegisters(registers: Registers, desired: DesiredState): Registers {
  const done = returnDone(registers);
  const isAccepted = desired.kind === 'enrollment' || desired.kind === 'group';
  const applied = isAccepted ? definitionAccepted(done) : withoutOlderDefinitions(done);
  return wantsSymmetricKeys(desired) ? keysApplied(applied) : applied;
}

function endOf(
  record: EventRecord,
  registers: Registers,
  {
    facts,
    shown,
    now,
  }: { readonly facts: OutcomeFacts; readonly shown: Shown | undefined; readonly now: Date },
): EventRecord {
  const finishedAt = now.toISOString();
  if (record.reason !== undefined) {
    return { ...record, status: 'rejected', finishedAt };
  }
  const event = mergedEventOf(record);
  const end = event ? evaluateEnd(registers, event) : 'superseded';
  if (end === 'device-scrapped') {
    return { ...record, ...deviceScrapped, facts, status: 'rejected', finishedAt };
  }
  // A hold that DPS cannot show: there is nothing to disable.
  const shuts =
    event?.kind === 'batch.held' || event?.kind === 'batch.recalled' || event?.kind === 'batch.retired';
  const isUnseen = shown === 'absent' && end === 'succeeded' && shuts;
  const warnings: readonly EventWarning[] = isUnseen ? [...record.warnings, 'not-in-dps'] : record.warnings;
  return { ...record, warnings, facts, status: end, finishedAt };
}

const deviceScrapped: Rejection = {
  reason: 'device-scrapped',
  pointer: '/data/remanufactured',
  detail:
    'The device was scrapped earlier. If it was built anew, send device.manufactured with remanufactured true; what this event says is remembered until then.',
};

/** What decides how a recorded event ends. */
function mergedEventOf(record: EventRecord): MergedEvent | undefined {
  const instant = parseInstant(record.time ?? '');
  const meaning = record.type.split('.').slice(-2).join('.');
  const kind = eventKinds.find((each) => each === meaning);
  const { key, source, id } = record;
  return instant && kind ? { key, kind, instant, source, id } : undefined;
}

/** The state without the definition that DPS rejects; undefined if no event is to blame. */
export function rolledBack(state: SubjectState, error: DpsRejectedError): SubjectState | undefined {
  const [rejected] = state.registers.definitions;
  if (!rejected || rejected.accepted) {
    return undefined;
  }
  const { key } = rejected.version;
  const { trackingId, errorCode } = error.cause;
  const rejection: Rejection = {
    reason: 'dps-rejected',
    pointer: '/data',
    detail: errorCode === undefined ? error.message : `${errorCode}: ${error.message}`,
    ...(trackingId === undefined ? {} : { trackingId }),
  };
  return {
    ...state,
    registers: rollBackDefinition(state.registers, key),
    pending: state.pending.map((record) => (record.key === key ? { ...record, ...rejection } : record)),
  };
}

function factsOf(state: SubjectState, findings: Findings): OutcomeFacts {
  const { desired, registration } = findings;
  const keptOut = isKeptOut(desired, state.registers);
  const hub = registration?.status === 'assigned' ? registration.assignedHub : undefined;
  const assignedHub = keptOut ? (hub ?? (registration ? undefined : state.assignedHub)) : undefined;
  const isEnded = state.registers.life?.life === 'recalled' || state.registers.life?.life === 'retired';
  return {
    ...shownPlace(findings),
    ...(assignedHub === undefined ? {} : { assignedHub }),
    ...(assignedHub !== undefined || isEnded ? { hubAccess: 'open' as const } : {}),
    ...findings.hubs?.facts,
  };
}

/** What was known while HUB_ACCESS was on stays, should it be on again. */
function hubsOf({ hubs, members }: SubjectState): Pick<SubjectState, 'hubs' | 'members'> {
  return { ...(hubs ? { hubs } : {}), ...(members ? { members } : {}) };
}

function shownPlace({ subject, desired, shown }: Findings): OutcomeFacts {
  if (shown === undefined) {
    return placeOf(desired);
  }
  if (shown === 'absent') {
    return {};
  }
  return {
    ...(subject.kind === 'batch' ? { enrollmentGroupId: subject.id } : {}),
    provisioningStatus: shown,
  };
}
