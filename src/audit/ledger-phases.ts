import { type DesiredState, desiredState } from '../enrollment/ledger/desired-state.ts';
import { isOver } from '../enrollment/ledger/lease.ts';
import { defaultExpectedWithinDays } from '../enrollment/ledger/profiles.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/ledger/subject-state.ts';
import { compareText } from '../events/compare-text.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import type { AuditFacts } from '../fleet/fleet-entry.ts';
import type { IndexedEntry } from '../fleet/fleet-index.ts';
import { batchCounts, emptySummary, summed } from '../fleet/fleet-summary.ts';
import { auditFacts, type Seen } from './audit-facts.ts';
import type { Checkpoint, Unit } from './audit-plan.ts';
import type { AuditRun } from './audit-run.ts';
import type { AuditStep } from './audit-step.ts';
import { quotaFindings } from './capacity-findings.ts';
import {
  batchFindings,
  type DeviceEvidence,
  deviceFindings,
  hubEvidenceOf,
  neverRegisteredYet,
  notApplied,
  ownRegistration,
} from './device-findings.ts';
import { dpsCapacity } from './dps-capacity.ts';
import type { Finding } from './finding.ts';
import { GroupRules } from './group-rules.ts';
import { hubChecks } from './hub-checks.ts';
import { noteMissingOfMembers } from './missing-groups.ts';
import type { ScrappedRegistration, Snapshot } from './registration-snapshot.ts';
import { scrappedRegistration } from './scrapped-devices.ts';

/** What is pending for so long has lost its message. */
export const appliedWithinMs = 15 * 60_000;
/** The audit before has sent for it, and that did not help. */
const recoveredWithinMs = 26 * 3_600_000;

export async function evaluateDevices(
  step: AuditStep,
  checkpoint: Extract<Checkpoint, { phase: 'devices' }>,
): Promise<Unit> {
  const { ledger, fleet } = step.parts;
  const page = await ledger.pageOfStates('device', checkpoint);
  const groups = new GroupRules(step);
  const ids = page.states.map(({ id }) => id);
  const [listed, records, individuals, scrapped] = await Promise.all([
    listedBeside(step, 'device', page.states),
    membersRecords(step, page.states),
    step.run.scanned.individualEnrollments === 0 ? none : step.parts.snapshot.individuals(ids),
    step.parts.snapshot.scrapped(scrappedOf(step, page.states)),
  ]);
  const seen: { readonly subject: SubjectRef; readonly state: SubjectState; readonly audit: AuditFacts }[] =
    [];
  const expected = new Map<string, string>();
  await step.inParallel(page.states, async ({ id, state: read }) => {
    const subject = { kind: 'device', id } as const;
    const known = listed.get(id);
    const before = known?.entry.audit;
    const swept = await recovered(step, subject, read);
    const desired = swept && desiredState('device', id, swept.registers, step.parts.profiles);
    if (desired?.kind === 'member') {
      expected.set(desired.enrollmentGroupId.toLowerCase(), id);
    }
    const audit = swept
      ? await evaluateDevice(step, groups, {
          ...{ id, state: swept, before },
          record: records.get(id),
          individual: individuals.get(id),
          scrapped: scrapped.get(id),
          definedAt: known?.entry.ledger.definedAt,
        })
      : auditFacts(before, stillSeen(before, step.found.get(id)), step.now());
    seen.push({ subject, state: swept ?? read, audit });
  });
  // All at once: what goes to one partition shares its transactions.
  const entries = await Promise.all(
    seen.map(({ subject, state, audit }) =>
      fleet.audited(subject, state, audit, listed.get(subject.id) ?? 'missing'),
    ),
  );
  const missingGroups = await noteMissingOfMembers(step, expected);
  const last = ids.at(-1);
  const { continuation: _, ...range } = checkpoint;
  return step.to(
    page.continuation === undefined ? { phase: 'done' } : { ...range, continuation: page.continuation },
    {
      missingGroups,
      summary: summed(emptySummary, entries, step.now()),
      ...(last === undefined ? {} : { pageEnds: [last] }),
    },
  );
}

const none: ReadonlyMap<string, Snapshot> = new Map();

/** Those that were scrapped: what the audits before were told of them is read with one query. */
function scrappedOf(
  step: AuditStep,
  states: readonly { readonly id: string; readonly state: SubjectState }[],
): readonly string[] {
  return states
    .filter(
      ({ id, state }) =>
        desiredState('device', id, state.registers, step.parts.profiles).kind === 'no-enrollment',
    )
    .map(({ id }) => id);
}

/** Registration records of the members on a page, group by group. */
async function membersRecords(
  step: AuditStep,
  states: readonly { readonly id: string; readonly state: SubjectState }[],
): Promise<ReadonlyMap<string, Snapshot>> {
  const byGroup = new Map<string, string[]>();
  for (const { id, state } of states) {
    const desired = desiredState('device', id, state.registers, step.parts.profiles);
    if (desired.kind === 'member') {
      const ids = byGroup.get(desired.enrollmentGroupId) ?? [];
      ids.push(id);
      byGroup.set(desired.enrollmentGroupId, ids);
    }
  }
  const records = new Map<string, Snapshot>();
  await step.inParallel([...byGroup], async ([groupId, ids]) => {
    for (const [id, record] of await step.parts.snapshot.inGroup(groupId, ids)) {
      records.set(id, record);
    }
  });
  return records;
}

interface DeviceToJudge {
  readonly id: string;
  readonly state: SubjectState;
  /** Of a member of a group: its registration record there. */
  readonly record: Snapshot | undefined;
  /** Its row among individual enrollments. */
  readonly individual: Snapshot | undefined;
  readonly scrapped: ScrappedRegistration | undefined;
  readonly before: AuditFacts | undefined;
  /** As the index knows it: the ledger forgets a definition that was replaced. */
  readonly definedAt: string | undefined;
}

async function evaluateDevice(
  step: AuditStep,
  groups: GroupRules,
  device: DeviceToJudge,
): Promise<AuditFacts> {
  const { id, state, before } = device;
  const { profiles, snapshot } = step.parts;
  const desired = desiredState('device', id, state.registers, profiles);
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
    await step.note(finding);
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
function stillSeen(before: AuditFacts | undefined, found: readonly Finding[] = []): Seen {
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

export async function evaluateBatches(step: AuditStep, continuation: string | undefined): Promise<Unit> {
  const { ledger, profiles } = step.parts;
  const page = await ledger.pageOfStates('batch', continuation === undefined ? {} : { continuation });
  const groups = new Set(step.run.groups);
  const listed = await listedBeside(step, 'batch', page.states);
  await step.inParallel(page.states, async ({ id, state: read }) => {
    const subject = { kind: 'batch', id } as const;
    const state = await recovered(step, subject, read);
    const findings = state
      ? batchFindings(id, desiredState('batch', id, state.registers, profiles), groups)
      : [];
    // The groups were listed when the run began: this one may have been made since.
    const isThere =
      findings.length > 0 && step.mayConfirm('enrollment-missing') && (await step.group(id)) !== undefined;
    if (!isThere) {
      await step.note(...findings);
    }
    const known = listed.get(id);
    const ofGroup = step.run.groupFindings[id] ?? [];
    const seen = {
      registration: undefined,
      waiting: false,
      findings: [...ofGroup, ...(step.found.get(id) ?? [])],
    };
    const counts = batchCounts(step.run.summary, id);
    const audit = { ...auditFacts(known?.entry.audit, seen, step.now()), ...(counts ? { counts } : {}) };
    await step.parts.fleet.audited(subject, state ?? read, audit, known ?? 'missing');
  });
  if (page.continuation !== undefined) {
    return step.to({ phase: 'batches', continuation: page.continuation });
  }
  await step.note(...quotaFindings(step.run, step.parts.capacity ?? dpsCapacity));
  return step.to({ phase: 'done' });
}

/** What the index has of a page of the ledger: what is missing or stale there is mended with what is seen now. */
function listedBeside(step: AuditStep, kind: SubjectKind, states: readonly { readonly id: string }[]) {
  const [first, last] = [states[0]?.id, states.at(-1)?.id];
  return first === undefined || last === undefined
    ? new Map<string, IndexedEntry>()
    : step.parts.fleet.entriesBetween(kind, first, last);
}

/** What is older than its retention, and what the run has no more use for. Events go page by page. */
export async function purge(
  step: AuditStep,
  { kind, continuation }: { readonly kind: SubjectKind; readonly continuation?: string },
): Promise<Unit> {
  const { ledger, rejectedEvents, retention, retentionDays, listing, snapshot } = step.parts;
  const before = new Date(step.now().getTime() - retentionDays * 86_400_000);
  const time = before.toISOString();
  const next = await ledger.purgeEvents(kind, time, continuation);
  if (next !== undefined) {
    return step.to({ phase: 'purge', kind, continuation: next });
  }
  if (kind === 'device') {
    return step.to({ phase: 'purge', kind: 'batch' });
  }
  await rejectedEvents.purge(before);
  await retention.purge(before);
  await listing.clear();
  for (const [group, since] of Object.entries(step.run.goneGroups)) {
    await (since < time ? snapshot.forgetGroup(group) : undefined);
  }
  return step.to({ phase: 'done' });
}

/** Sees to it that what nobody completes is completed. Undefined while events are pending: then nothing can be told yet. */
async function recovered(
  step: AuditStep,
  subject: SubjectRef,
  state: SubjectState,
): Promise<SubjectState | undefined> {
  if (isInSync(state) && !state.outcomesDue && state.look === undefined) {
    return state;
  }
  const now = step.now();
  const since = Date.parse(state.pendingSince ?? '') || 0;
  const isOld = now.getTime() - since >= appliedWithinMs;
  if (!isOld || (state.lease && !isOver(state.lease, now))) {
    // Its message is on its way: no finding yet.
    return isInSync(state) ? state : undefined;
  }
  await step.parts.background.recover(subject, state);
  if (isInSync(state)) {
    return state;
  }
  const { keys } = state.registers;
  const isLost = now.getTime() - since >= recoveredWithinMs || (keys && !keys.applied);
  await (isLost ? step.note(notApplied(subject.id, state)) : undefined);
  return undefined;
}
