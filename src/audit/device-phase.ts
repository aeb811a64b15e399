import { type DesiredState, desiredState } from '../enrollment/ledger/desired-state.ts';
import type { SubjectRef, SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { AuditFacts } from '../fleet/fleet-entry.ts';
import { emptySummary, summed } from '../fleet/fleet-summary.ts';
import { auditFacts } from './audit-facts.ts';
import type { Checkpoint, Unit } from './audit-plan.ts';
import type { AuditStep } from './audit-step.ts';
import { evaluateDevice, stillSeen } from './device-evaluation.ts';
import { GroupRules } from './group-rules.ts';
import { listedBeside } from './indexed-entries.ts';
import { noteMissingOfMembers } from './missing-groups.ts';
import { recovered } from './pending-subjects.ts';
import type { Snapshot } from './registration-snapshot.ts';

export async function evaluateDevices(
  step: AuditStep,
  checkpoint: Extract<Checkpoint, { phase: 'devices' }>,
): Promise<Unit> {
  const { ledger, fleet, profiles, snapshot } = step.parts;
  const page = await ledger.pageOfStates('device', checkpoint);
  const groups = new GroupRules(step);
  const ids = page.states.map(({ id }) => id);
  const desired = new Map(
    page.states.map(({ id, state }) => [id, desiredState('device', id, state.registers, profiles)]),
  );
  const scrappedIds = ids.filter((id) => desired.get(id)?.kind === 'no-enrollment');
  const [listed, records, individuals, scrapped] = await Promise.all([
    listedBeside(step, 'device', page.states),
    membersRecords(step, desired),
    step.run.scanned.individualEnrollments === 0 ? none : snapshot.individuals(ids),
    snapshot.scrapped(scrappedIds),
  ]);
  const seen: { readonly subject: SubjectRef; readonly state: SubjectState; readonly audit: AuditFacts }[] =
    [];
  const expected = new Map<string, string>();
  await step.inParallel(page.states, async ({ id, state: read }) => {
    const subject = { kind: 'device', id } as const;
    const known = listed.get(id);
    const before = known?.entry.audit;
    const wanted = desired.get(id);
    const swept = wanted && (await recovered(step, subject, read));
    if (swept && wanted.kind === 'member') {
      expected.set(wanted.enrollmentGroupId.toLowerCase(), id);
    }
    const audit = swept
      ? await evaluateDevice(step, groups, {
          ...{ id, state: swept, desired: wanted, before },
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

/** Registration records of the members on a page, group by group. */
async function membersRecords(
  step: AuditStep,
  desired: ReadonlyMap<string, DesiredState>,
): Promise<ReadonlyMap<string, Snapshot>> {
  const byGroup = new Map<string, string[]>();
  for (const [id, wanted] of desired) {
    if (wanted.kind === 'member') {
      const ids = byGroup.get(wanted.enrollmentGroupId) ?? [];
      ids.push(id);
      byGroup.set(wanted.enrollmentGroupId, ids);
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
