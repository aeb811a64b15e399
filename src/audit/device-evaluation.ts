import type { DesiredState } from '../enrollment/ledger/desired-state.ts';
import { defaultExpectedWithinDays } from '../enrollment/ledger/profiles.ts';
import type { SubjectState } from '../enrollment/ledger/subject-state.ts';
import { compareText } from '../events/compare-text.ts';
import type { AuditFacts } from '../fleet/fleet-entry.ts';
import { auditFacts, type Seen } from './audit-facts.ts';
import type { AuditRun } from './audit-run.ts';
import type { AuditStep } from './audit-step.ts';
import {
  type DeviceEvidence,
  deviceFindings,
  hubEvidenceOf,
  neverRegisteredYet,
  ownRegistration,
} from './device-findings.ts';
import type { Finding } from './finding.ts';
import type { GroupRules } from './group-rules.ts';
import { hubChecks } from './hub-checks.ts';
import type { ScrappedRegistration, Snapshot } from './registration-snapshot.ts';
import { scrappedRegistration } from './scrapped-devices.ts';

export interface DeviceToEvaluate {
  readonly id: string;
  readonly state: SubjectState;
  readonly desired: DesiredState;
  /** Of a member of a group: its registration record there. */
  readonly record: Snapshot | undefined;
  /** Its row among individual enrollments. */
  readonly individual: Snapshot | undefined;
  readonly scrapped: ScrappedRegistration | undefined;
  readonly before: AuditFacts | undefined;
  /** As the index knows it: the ledger forgets a definition that was replaced. */
  readonly definedAt: string | undefined;
}

export async function evaluateDevice(
  step: AuditStep,
  groups: GroupRules,
  device: DeviceToEvaluate,
): Promise<AuditFacts> {
  const { id, state, desired, before } = device;
  const { profiles, snapshot } = step.parts;
  const isMember = desired.kind === 'member';
  const individual = desired.kind === 'no-enrollment' ? undefined : device.individual;
  // Where a member that is kept out was connected before, only its record in the group knows once it has knocked.
  const hasKnocked = desired.kind === 'blocked' && individual?.status === 'disabled';
  const inGroup = hasKnocked ? await snapshot.group(desired.enrollmentGroupId, id) : device.record;
  const product = state.registers.definitions[0]?.definition.product;
  const profile = product === undefined ? undefined : profiles.for(product);
  const evidence: DeviceEvidence = {
    id,
    state,
    desired,
    run: step.run,
    individual,
    inGroup,
    scrapped:
      desired.kind === 'no-enrollment'
        ? await scrappedRegistration(step, id, state, device.scrapped)
        : undefined,
    group: isMember ? await groups.of(desired.enrollmentGroupId, state) : undefined,
    manufacturedAt: manufacturedAt(state, device.definedAt),
    anyMember: profile?.members === 'any',
    groupIsOpen: groupIsOpen(step.run, desired),
    expectedWithinDays: profile?.expectedWithinDays ?? defaultExpectedWithinDays,
    now: step.now(),
  };
  // Enrollments were scanned before: what was found there belongs to the device as well.
  const findings: Finding[] = individual ? [...individual.findings] : [];
  for (const finding of await withHubs(step, evidence, deviceFindings(evidence))) {
    // DPS's queries lag behind its writes: what they did not show is looked for by id.
    const isOfMissing = finding.code === 'enrollment-missing' || finding.code === 'held-yet-open';
    if (isOfMissing && step.mayConfirm(finding.code) && (await step.enrollment(id))) {
      continue;
    }
    step.note(finding);
    findings.push(finding);
  }
  return auditFacts(before, seenOf(evidence, findings), step.now());
}

async function withHubs(
  step: AuditStep,
  evidence: DeviceEvidence,
  findings: readonly Finding[],
): Promise<readonly Finding[]> {
  const { hubs } = step.parts;
  const isClosedWithBatch = evidence.group?.hubsAreClosed === true;
  const device = { evidence: hubEvidenceOf(evidence), state: evidence.state, isClosedWithBatch };
  return hubs ? hubChecks(step, hubs, device, findings) : findings;
}

/** As the groups were listed: `shut` devices may belong to any of them. */
function groupIsOpen({ groups, closedGroups }: AuditRun, desired: DesiredState): boolean {
  const closed = new Set(closedGroups);
  if (desired.kind === 'shut') {
    return groups.some((id) => !closed.has(id));
  }
  const group = desired.kind === 'blocked' ? desired.enrollmentGroupId.toLowerCase() : undefined;
  return group !== undefined && groups.includes(group) && !closed.has(group);
}

function seenOf(evidence: DeviceEvidence, findings: readonly Finding[]): Seen {
  const { desired, individual, inGroup, scrapped } = evidence;
  const own = ownRegistration(evidence);
  const registration =
    own ?? (desired.kind === 'member' ? { ...unassigned } : (scrapped ?? individual ?? inGroup));
  return { registration, waiting: neverRegisteredYet(evidence) === 'waiting', findings };
}

const unassigned = {
  status: 'unassigned',
  assignedHub: undefined,
  deviceId: undefined,
  checkedAt: undefined,
};

/** Of a device whose events are not applied yet: as it was seen last. */
export function stillSeen(before: AuditFacts | undefined, found: readonly Finding[] = []): Seen {
  const {
    state,
    hub,
    firstRegisteredAt,
    registeredAt,
    errorCode,
    errorMessage,
    waiting = false,
  } = before ?? {};
  const registration = {
    status: state,
    assignedHub: hub,
    deviceId: undefined,
    checkedAt: undefined,
    created: firstRegisteredAt,
    lastUpdated: registeredAt,
    errorCode,
    errorMessage,
  };
  return { registration, waiting, findings: found };
}

/** A device that was built anew is given its time once more. */
function manufacturedAt({ registers }: SubjectState, definedAt: string | undefined): string | undefined {
  const { life, definitions } = registers;
  if (life?.life === 'remanufactured') {
    return life.version.at;
  }
  const first = definitions.map(({ version }) => version.at as string).sort(compareText)[0];
  return first !== undefined && definedAt !== undefined && definedAt < first ? definedAt : first;
}
