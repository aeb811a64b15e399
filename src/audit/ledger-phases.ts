import { desiredState } from '../enrollment/desired-state.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/subject-state.ts';
import type { AuditRun } from './audit-run.ts';
import type { AuditStep } from './audit-step.ts';
import { batchFindings, type DeviceEvidence, deviceFindings, notApplied } from './device-findings.ts';
import { GroupRules } from './group-rules.ts';
import { scrappedRegistration } from './scrapped-devices.ts';

/** What is pending for so long has lost its message. */
const appliedWithinMs = 15 * 60_000;

export async function judgeDevices(step: AuditStep, continuation: string | undefined): Promise<AuditRun> {
  const { ledger } = step.parts;
  const page = await ledger.pageOfStates('device', continuation);
  const groups = new GroupRules(step);
  await step.inParallel(page.states, async ({ id, state: read }) => {
    const state = await sweep(step, { kind: 'device', id }, read);
    if (state) await judgeDevice(step, groups, id, state);
  });
  return {
    ...step.run,
    checkpoint:
      page.continuation === undefined
        ? { phase: 'batches' }
        : { phase: 'devices', continuation: page.continuation },
  };
}

async function judgeDevice(
  step: AuditStep,
  groups: GroupRules,
  id: string,
  state: SubjectState,
): Promise<void> {
  const { profiles, snapshot } = step.parts;
  const desired = desiredState('device', id, state.registers, profiles);
  const isMember = desired.kind === 'member';
  const individual = desired.kind === 'no-enrollment' ? undefined : await snapshot.individual(id);
  // Where a member that is kept out was connected before, only its record in the group knows once it has knocked.
  const readsGroup = isMember || (desired.kind === 'blocked' && individual?.status === 'disabled');
  const evidence: DeviceEvidence = {
    id,
    state,
    desired,
    run: step.run,
    individual,
    inGroup: readsGroup ? await snapshot.group(desired.enrollmentGroupId, id) : undefined,
    scrapped: desired.kind === 'no-enrollment' ? await scrappedRegistration(step, id, state) : undefined,
    group: isMember ? await groups.of(desired.enrollmentGroupId, state) : undefined,
  };
  for (const finding of deviceFindings(evidence)) {
    // DPS's queries lag behind its writes: what they did not show is looked for by id.
    if (finding.code === 'enrollment-missing' && (await step.enrollment(id))) continue;
    await step.note(finding);
  }
}

export async function judgeBatches(step: AuditStep, continuation: string | undefined): Promise<AuditRun> {
  const { ledger, profiles } = step.parts;
  const page = await ledger.pageOfStates('batch', continuation);
  const groups = new Set(step.run.groups);
  await step.inParallel(page.states, async ({ id, state: read }) => {
    const state = await sweep(step, { kind: 'batch', id }, read);
    if (!state) return;
    const findings = batchFindings(id, desiredState('batch', id, state.registers, profiles), groups);
    // The groups were listed when the run began: this one may have been made since.
    if (findings.length > 0 && !(await step.group(id))) await step.note(...findings);
  });
  return {
    ...step.run,
    checkpoint:
      page.continuation === undefined
        ? { phase: 'purge', kind: 'device' }
        : { phase: 'batches', continuation: page.continuation },
  };
}

export async function purge(step: AuditStep, kind: 'device' | 'batch'): Promise<AuditRun> {
  const { ledger, rejectedEvents, retentionDays } = step.parts;
  const before = new Date(step.now().getTime() - retentionDays * 86_400_000);
  await ledger.purgeEvents(kind, before.toISOString());
  if (kind === 'batch') await rejectedEvents.purge(before);
  return {
    ...step.run,
    checkpoint: kind === 'device' ? { phase: 'purge', kind: 'batch' } : { phase: 'report' },
  };
}

/** Completes what was never applied; undefined if it cannot be, which is then a finding. */
async function sweep(
  step: AuditStep,
  subject: SubjectRef,
  state: SubjectState,
): Promise<SubjectState | undefined> {
  const { sweeper, ledger } = step.parts;
  if (isInSync(state) && !state.outcomesDue) return state;
  const pendingSince = Date.parse(state.pendingSince ?? '') || 0;
  // Its message is on its way: no finding yet.
  if (step.now().getTime() - pendingSince < appliedWithinMs) return undefined;
  const { keys } = state.registers;
  if (!keys || keys.applied) {
    await sweeper.complete(subject);
    return ledger.readState(subject);
  }
  await step.note(notApplied(subject.id, state));
  return undefined;
}
