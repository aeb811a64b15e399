import { isOver } from '../enrollment/ledger/lease.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { AuditStep } from './audit-step.ts';
import { notApplied } from './device-findings.ts';

/** What is pending for so long has lost its message. */
export const appliedWithinMs = 15 * 60_000;
/** The audit before has sent for it, and that did not help. */
const recoveredWithinMs = 26 * 3_600_000;

/** Sees to it that what nobody completes is completed. Undefined while events are pending: then nothing can be told yet. */
export async function recovered(
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
  if (isLost) {
    step.note(notApplied(subject.id, state));
  }
  return undefined;
}
