import type { Unit } from './audit-plan.ts';
import type { AuditRun } from './audit-run.ts';
import { type AuditParts, AuditStep } from './audit-step.ts';
import { evaluateBatches } from './batch-phase.ts';
import { findSharedCertificates } from './certificate-phase.ts';
import { compareRecords } from './comparison-phase.ts';
import { evaluateDevices } from './device-phase.ts';
import { checkStates, scanEnrollments } from './enrollment-phases.ts';
import { findUnknown, scanGroups, scanRegistrations } from './group-phases.ts';
import { purge } from './purge-phase.ts';

/** What is done in the units of a run. A step may be repeated: it counts only once its checkpoint is saved. */
export class AuditPhases {
  readonly #parts: AuditParts;

  constructor(parts: AuditParts) {
    this.#parts = parts;
  }

  async step(run: AuditRun, unit: Unit): Promise<Unit> {
    const step = new AuditStep(this.#parts, run, unit);
    const next = await phaseOf(step);
    await step.writeFindings();
    return next;
  }
}

async function phaseOf(step: AuditStep): Promise<Unit> {
  const { checkpoint } = step.unit;
  switch (checkpoint.phase) {
    case 'groups':
      return scanGroups(step, checkpoint);
    case 'registrations':
      return scanRegistrations(step, checkpoint);
    case 'enrollments':
      return scanEnrollments(step, checkpoint);
    case 'comparison':
      return compareRecords(step, checkpoint);
    case 'unknown':
      return findUnknown(step, checkpoint.group, checkpoint.after);
    case 'states':
      return checkStates(step, checkpoint);
    case 'certificates':
      return findSharedCertificates(step, checkpoint.partition);
    case 'devices':
      return evaluateDevices(step, checkpoint);
    case 'batches':
      return evaluateBatches(step, checkpoint.continuation);
    case 'purge':
      return purge(step, checkpoint);
    default:
      return step.unit;
  }
}
