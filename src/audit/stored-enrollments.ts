import type { EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';
import { desiredState } from '../enrollment/ledger/desired-state.ts';
import { subjectOf } from '../enrollment/ledger/ledger.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { AuditStep } from './audit-step.ts';
import { type StoredEnrollment, storedId } from './certificate-findings.ts';
import { enrollmentUnknown } from './device-findings.ts';
import { enrollmentDiffers } from './enrollment-difference.ts';
import type { Finding } from './finding.ts';
import { openEnrollment } from './held-yet-open.ts';
import { appliedWithinMs } from './pending-subjects.ts';

/** Whether an enrollment that DPS holds is one that the events speak of, and as they say. */
export async function evaluateEnrollment(step: AuditStep, stored: IndividualEnrollment): Promise<void> {
  const subject = subjectOf('device', storedId(stored));
  const state = await step.parts.ledger.readState(subject);
  if (!state) {
    step.note(enrollmentUnknown(subject.id));
    return step.listUnknown(subject.id, undefined);
  }
  await evaluate(step, subject, state, stored, () => step.enrollment(subject.id));
}

/** A group that no batch event has spoken of is managed elsewhere. */
export async function evaluateGroup(step: AuditStep, stored: EnrollmentGroup): Promise<void> {
  const subject = subjectOf('batch', storedId(stored));
  const state = await step.parts.ledger.readState(subject);
  if (state) {
    await evaluate(step, subject, state, stored, () => step.group(subject.id));
  }
}

async function evaluate(
  step: AuditStep,
  subject: SubjectRef,
  state: SubjectState,
  stored: StoredEnrollment,
  read: () => Promise<StoredEnrollment | undefined>,
): Promise<void> {
  let findings = differences(step, subject, state, stored);
  const [first] = findings;
  if (!first) {
    return;
  }
  if (step.mayConfirm(first.code)) {
    const actual = await read();
    findings = actual ? differences(step, subject, state, actual) : [];
  }
  if (findings.length === 0) {
    return;
  }
  // The pipeline may have been at it meanwhile: the next audit evaluates what it made.
  const now = await step.parts.ledger.readState(subject);
  if (now?.revision === state.revision && isInSync(now) === isInSync(state)) {
    step.note(...findings);
  }
}

/** Pending changes are no difference. But a device that they should keep out by now is a finding. */
function differences(
  step: AuditStep,
  subject: SubjectRef,
  state: SubjectState,
  stored: StoredEnrollment,
): Finding[] {
  const { kind, id } = subject;
  const { registers } = state;
  const pendingMs = step.now().getTime() - Date.parse(state.pendingSince ?? '');
  if (!isInSync(state) && !(pendingMs >= appliedWithinMs)) {
    return [];
  }
  const desired = desiredState(kind, id, registers, step.parts.profiles);
  const open = openEnrollment(subject, desired, registers, stored);
  if (!isInSync(state)) {
    return open ? [open] : [];
  }
  if (!open) {
    const differs = enrollmentDiffers(id, desired, stored);
    return differs ? [differs] : [];
  }
  const others =
    desired.kind === 'no-enrollment'
      ? undefined
      : enrollmentDiffers(id, desired, { ...stored, provisioningStatus: 'disabled' });
  return others ? [open, others] : [open];
}
