import type { AuditRun } from './audit-run.ts';
import { type AuditParts, AuditStep } from './audit-step.ts';
import { findSharedCertificates } from './certificate-phase.ts';
import { checkStates, scanEnrollments } from './enrollment-phases.ts';
import { findUnknown, scanGroups, scanRegistrations } from './group-phases.ts';
import { evaluateBatches, evaluateDevices, purge } from './ledger-phases.ts';

/** The phases of a run. A step is a page, and may be repeated: it counts only once its checkpoint is saved. */
export class AuditPhases {
  readonly #parts: AuditParts;

  constructor(parts: AuditParts) {
    this.#parts = parts;
  }

  async step(run: AuditRun): Promise<AuditRun> {
    const step = new AuditStep(this.#parts, run);
    return step.costed(await phaseOf(step));
  }
}

async function phaseOf(step: AuditStep): Promise<AuditRun> {
  const { checkpoint } = step.run;
  switch (checkpoint.phase) {
    case 'groups':
      return scanGroups(step, checkpoint.continuation);
    case 'registrations':
      return scanRegistrations(step, checkpoint.group, checkpoint.continuation);
    case 'unknown':
      return findUnknown(step, checkpoint.group, checkpoint.after);
    case 'enrollments':
      return scanEnrollments(step, checkpoint.continuation);
    case 'states':
      return checkStates(step, checkpoint.bucket);
    case 'certificates':
      return findSharedCertificates(step, checkpoint.bucket);
    case 'devices':
      return evaluateDevices(step, checkpoint.continuation);
    case 'batches':
      return evaluateBatches(step, checkpoint.continuation);
    case 'purge':
      return purge(step, checkpoint.kind);
    default:
      return step.run;
  }
}
