import type { DesiredState } from '../enrollment/ledger/desired-state.ts';
import type { SubjectState } from '../enrollment/ledger/subject-state.ts';
import { parseInstant } from '../events/instant.ts';
import type { AuditRun } from './audit-run.ts';
import type { Finding } from './finding.ts';
import type { GroupRule } from './group-rules.ts';
import { missingDenial } from './held-yet-open.ts';
import { type HubEvidence, hubFindings } from './hub-findings.ts';
import { movedEachTime } from './registration-history.ts';
import type { Registration, Snapshot } from './registration-snapshot.ts';

const dayInMs = 86_400_000;

/** What the audit knows of one device when it has read DPS. */
export interface DeviceEvidence {
  readonly id: string;
  readonly state: SubjectState;
  readonly desired: DesiredState;
  readonly run: AuditRun;
  /** The device's row among individual enrollments, if DPS has one now. */
  readonly individual: Snapshot | undefined;
  /** The device's registration record in its group, if there is one now. */
  readonly inGroup: Snapshot | undefined;
  /** The registration record of a scrapped device, if it still has one. */
  readonly scrapped: Registration | undefined;
  /** What holds for all members of its group. */
  readonly group: GroupRule | undefined;
  /** Its first definition's time, or when it was built anew; ISO 8601. */
  readonly manufacturedAt: string | undefined;
  /** How long after that it may take until it registers. */
  readonly expectedWithinDays: number;
  /** No event has to name a member, so none has to register either. */
  readonly anyMember: boolean;
  /** Whether a group may let the device in that only an enrollment of its own would keep out. */
  readonly groupIsOpen: boolean;
  readonly now: Date;
}

/** What is wrong with a device that the events speak of. */
export function deviceFindings(evidence: DeviceEvidence): Finding[] {
  const { id, desired, individual } = evidence;
  const findings: Finding[] = [];
  const wantsEnrollment = desired.kind === 'enrollment' || desired.kind === 'blocked';
  const keepsOut = desired.kind === 'blocked' || desired.kind === 'shut';
  if (keepsOut && !individual && evidence.groupIsOpen) {
    const groupId = desired.kind === 'blocked' ? desired.enrollmentGroupId : undefined;
    findings.push(missingDenial(id, evidence.state.registers, groupId));
  } else if (wantsEnrollment && !individual) {
    findings.push({
      severity: 'warning',
      code: 'enrollment-missing',
      subject: id,
      detail:
        desired.kind === 'blocked'
          ? 'The disabled individual enrollment that keeps the device out of its group is gone from DPS. Its group lets nobody in now, but may be made or enabled again: send device.held again under a new id.'
          : 'The events ask for an individual enrollment, and DPS has none. Send device.changed with what the device is, under a new id.',
    });
  }
  const registration = ownRegistration(evidence);
  if (registration?.status === 'failed') {
    findings.push(registrationFailed(id, registration));
  }
  findings.push(...hubFindings(hubEvidenceOf(evidence)), ...registersAgainAndAgain(evidence, registration));
  if (neverRegisteredYet(evidence) === 'overdue') {
    findings.push({
      severity: 'warning',
      code: 'never-registered',
      subject: id,
      detail: neverRegistered(evidence),
    });
  }
  return findings;
}

/** The record that the device makes when it is let in. */
export function ownRegistration({ desired, individual, inGroup }: DeviceEvidence): Snapshot | undefined {
  if (desired.kind === 'member') {
    return inGroup;
  }
  return desired.kind === 'enrollment' ? individual : undefined;
}

/** Of a device that should register and never did: whether the time that its profile allows is over. */
export function neverRegisteredYet(evidence: DeviceEvidence): 'waiting' | 'overdue' | undefined {
  if (!isExpectedToRegister(evidence) || hasRegistered(evidence, ownRegistration(evidence))) {
    return undefined;
  }
  const { manufacturedAt, expectedWithinDays, now } = evidence;
  const since = Date.parse(manufacturedAt ?? '') || 0;
  return now.getTime() - since > expectedWithinDays * dayInMs ? 'overdue' : 'waiting';
}

/** Members go by their group's query if this run's had them: a group that is gone tells nothing of its devices. */
export function hubEvidenceOf({
  id,
  state,
  desired,
  run,
  individual,
  inGroup,
  ...more
}: DeviceEvidence): HubEvidence {
  const scrapped = state.registers.life?.life === 'scrapped';
  const own = individual && withLastHub(individual, state);
  const group = desired.kind === 'member' || desired.kind === 'blocked' ? desired.enrollmentGroupId : '';
  const isListed = run.groups.includes(group.toLowerCase());
  const ofThisRun = inGroup && isListed ? withLastHub(inGroup, state) : undefined;
  switch (desired.kind) {
    case 'enrollment': {
      const { provisioningStatus, iotHubs } = desired.enrollment;
      const keptOut = provisioningStatus === 'disabled' ? 'is held' : undefined;
      return { id, registration: own, keptOut, iotHubs };
    }
    case 'blocked': {
      const registration = own?.assignedHub === undefined ? ofThisRun : own;
      return { id, registration, keptOut: scrapped ? 'was scrapped' : 'is held' };
    }
    case 'no-enrollment':
      return { id, registration: more.scrapped, keptOut: 'was scrapped' };
    case 'member': {
      const { closedBy, iotHubs } = more.group ?? {};
      const keptOut =
        closedBy &&
        `belongs to the batch ${desired.enrollmentGroupId}, which ${closedBy === 'held' ? 'is held' : 'was recalled'}`;
      return { id, registration: ofThisRun, keptOut, iotHubs };
    }
    case 'shut':
      return { id, registration: undefined, keptOut: scrapped ? 'was scrapped' : 'is held' };
    default:
      return { id, registration: undefined };
  }
}

/** A refused device stays connected where it was; unless its record was deleted since, which is how one says: no more. */
function withLastHub(registration: Snapshot, { registers }: SubjectState): Registration {
  const { status, lastHub } = registration;
  if (status !== 'disabled' || !lastHub) {
    return registration;
  }
  const returned = registers.return?.done === true ? registers.return.notAfter : undefined;
  const registeredAt = parseInstant(lastHub.registeredAt);
  const isGone = returned !== undefined && registeredAt !== undefined && returned >= registeredAt;
  return isGone ? registration : { ...registration, assignedHub: lastHub.name };
}

/** A device that is refused tries again, and rightly so: only those that are let in each time count. */
function registersAgainAndAgain({ id, run }: DeviceEvidence, registration: Snapshot | undefined): Finding[] {
  const times = registration?.status === 'assigned' && movedEachTime(registration.history, run.number);
  if (!times) {
    return [];
  }
  return [
    {
      severity: 'warning',
      code: 'registers-again-and-again',
      subject: id,
      detail: `The device registered anew between each of the last ${times.length} audits: ${times.join(', ')}. It restarts, loses its connection or never keeps its hub, and each time takes one of the instance's registrations a minute. Look at the device; it should keep the hub it was given, and register only when that refuses it.`,
    },
  ];
}

/** A batch's group that the events ask for and DPS does not have. */
export function batchFindings(id: string, desired: DesiredState, groups: ReadonlySet<string>): Finding[] {
  if (desired.kind !== 'group' || groups.has(id)) {
    return [];
  }
  const detail =
    'The events ask for an enrollment group, and DPS has none. Send batch.started again under a new id.';
  return [{ severity: 'warning', code: 'enrollment-missing', subject: id, detail }];
}

export function registeredButUnknown(
  id: string,
  groupId: string,
  record: { readonly assignedHub?: string | undefined },
): Finding {
  const where = record.assignedHub === undefined ? '' : ` and was assigned to ${record.assignedHub}`;
  return {
    severity: 'critical',
    code: 'registered-but-unknown',
    subject: id,
    detail: `A device registered through the group ${groupId}${where}, and no event has ever spoken of it. Find out who made it; if nobody did, hold it.`,
  };
}

export function enrollmentUnknown(id: string): Finding {
  return {
    severity: 'warning',
    code: 'enrollment-unknown',
    subject: id,
    detail:
      'DPS has an individual enrollment that no event has ever spoken of. Somebody made it by hand, or its events never arrived.',
  };
}

export function notApplied(id: string, state: SubjectState): Finding {
  const keys = state.registers.keys;
  const why =
    keys && !keys.applied
      ? `only the message of event ${keys.version.key} holds the keys, and it has not been applied`
      : 'DPS could not be brought to agree';
  return {
    severity: 'warning',
    code: 'not-applied',
    subject: id,
    detail: `What the events say has not been applied since ${state.pendingSince}: ${why}. Look into the dead-letter queue, or send the event again under a new id.`,
  };
}

function registrationFailed(id: string, registration: Snapshot): Finding {
  const why = [registration.errorCode, registration.errorMessage]
    .filter((part) => part !== undefined)
    .join(' ');
  return {
    severity: 'warning',
    code: 'registration-failed',
    subject: id,
    detail: `The device registered and failed${why === '' ? '' : `: ${why}`}.`,
  };
}

/** A device that was returned had its record deleted on purpose: it registers when it gets a new owner. */
function isExpectedToRegister({ state, desired, anyMember }: DeviceEvidence): boolean {
  const { life, return: returned } = state.registers;
  if (returned && returned.version.key !== life?.version.key) {
    return false;
  }
  if (desired.kind === 'member') {
    return !anyMember;
  }
  return desired.kind === 'enrollment' && desired.enrollment.provisioningStatus !== 'disabled';
}

/** An individual registration state that was not asked for yet says nothing. */
function hasRegistered({ desired }: DeviceEvidence, registration: Snapshot | undefined): boolean {
  if (desired.kind === 'member') {
    return registration !== undefined && registration.status !== 'unassigned';
  }
  return registration?.status !== 'unassigned';
}

function neverRegistered({ desired, manufacturedAt, expectedWithinDays }: DeviceEvidence): string {
  const where =
    desired.kind === 'member'
      ? `The device is expected in the group ${desired.enrollmentGroupId}`
      : 'The device has an enrollment';
  const since = manufacturedAt === undefined ? '' : ` since ${manufacturedAt.slice(0, 10)}`;
  return `${where}${since} and has never registered; its product is given ${expectedWithinDays} days. Find out where it is: in a warehouse, or switched on and not able to register.`;
}
