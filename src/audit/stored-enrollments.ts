import type { EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';
import { desiredState } from '../enrollment/desired-state.ts';
import { subjectOf } from '../enrollment/ledger.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/subject-state.ts';
import type { AuditStep } from './audit-step.ts';
import { type StoredEnrollment, storedId } from './certificate-findings.ts';
import { enrollmentUnknown } from './device-findings.ts';
import { enrollmentDiffers } from './enrollment-difference.ts';
import type { Finding } from './finding.ts';

/** Whether an enrollment that DPS holds is one that the events speak of, and as they say. */
export async function judgeEnrollment(step: AuditStep, stored: IndividualEnrollment): Promise<void> {
  const subject = subjectOf('device', storedId(stored));
  const state = await step.parts.ledger.readState(subject);
  if (!state) {
    await step.note(enrollmentUnknown(subject.id));
    return step.listUnknown(subject.id, undefined);
  }
  await judge(step, subject, state, stored, () => step.enrollment(subject.id));
}

/** A group that no batch event has spoken of is managed elsewhere. */
export async function judgeGroup(step: AuditStep, stored: EnrollmentGroup): Promise<void> {
  const subject = subjectOf('batch', storedId(stored));
  const state = await step.parts.ledger.readState(subject);
  if (state) await judge(step, subject, state, stored, () => step.group(subject.id));
}

async function judge(
  step: AuditStep,
  subject: SubjectRef,
  state: SubjectState,
  stored: StoredEnrollment,
  read: () => Promise<StoredEnrollment | undefined>,
): Promise<void> {
  if (!isInSync(state)) return;
  let finding = difference(step, subject, state, stored);
  if (!finding) return;
  if (step.mayConfirm(finding.code)) {
    const actual = await read();
    finding = actual && difference(step, subject, state, actual);
  }
  if (!finding) return;
  // The pipeline may have been at it meanwhile: the next audit judges what it made.
  const now = await step.parts.ledger.readState(subject);
  if (now && isInSync(now) && now.revision === state.revision) await step.note(finding);
}

function difference(
  step: AuditStep,
  { kind, id }: SubjectRef,
  { registers }: SubjectState,
  stored: StoredEnrollment,
): Finding | undefined {
  return enrollmentDiffers(id, desiredState(kind, id, registers, step.parts.profiles), stored);
}
