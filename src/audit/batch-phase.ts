import { desiredState } from '../enrollment/ledger/desired-state.ts';
import { batchCounts } from '../fleet/fleet-summary.ts';
import { auditFacts } from './audit-facts.ts';
import type { Unit } from './audit-plan.ts';
import type { AuditStep } from './audit-step.ts';
import { quotaFindings } from './capacity-findings.ts';
import { batchFindings } from './device-findings.ts';
import { dpsCapacity } from './dps-capacity.ts';
import { listedBeside } from './indexed-entries.ts';
import { recovered } from './pending-subjects.ts';

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
      step.note(...findings);
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
  step.note(...quotaFindings(step.run, step.parts.capacity ?? dpsCapacity));
  return step.to({ phase: 'done' });
}
