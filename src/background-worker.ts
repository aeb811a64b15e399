import type { AdoptionRunner } from './adoption/adoption-runner.ts';
import type { AuditRunner } from './audit/audit-runner.ts';
import type { BackgroundTask } from './enrollment/pipeline/background-queue.ts';
import type { Errand } from './enrollment/pipeline/delivery.ts';
import type { EventProcessor } from './enrollment/pipeline/event-processor.ts';
import { isJsonObject } from './events/json.ts';

/** What `background-work` brings: slices of audits and adoptions, and devices and batches to complete. */
export class BackgroundWorker {
  readonly #processor: () => EventProcessor;
  /** Built only when an audit is to be worked on. */
  readonly #audit: () => AuditRunner;
  readonly #adoption: () => AdoptionRunner;

  constructor(processor: () => EventProcessor, audit: () => AuditRunner, adoption: () => AdoptionRunner) {
    this.#processor = processor;
    this.#audit = audit;
    this.#adoption = adoption;
  }

  async work(message: unknown, deliveryCount: number): Promise<void> {
    const task = taskOf(message);
    if (task.task === 'audit') {
      return this.#audit().slice(task);
    }
    if (task.task === 'adoption') {
      return this.#adoption().slice(task.id, task.slice);
    }
    await this.#processor().complete(task, deliveryCount);
  }
}

/** Our own messages alone come here: one that is none of ours is a bug, or a stranger's, and goes to the dead letters. */
function taskOf(message: unknown): BackgroundTask {
  const value: unknown = typeof message === 'string' ? JSON.parse(message) : message;
  if (isJsonObject(value)) {
    const task = readTask(value);
    if (task) {
      return task;
    }
  }
  throw new Error('background-work holds a message that is no task of ours.');
}

function readTask(value: Record<string, unknown>): BackgroundTask | undefined {
  switch (value.task) {
    case 'audit':
      return auditTask(value);
    case 'adoption':
      return adoptionTask(value);
    default:
      return subjectTask(value);
  }
}

function adoptionTask({ id, slice }: Record<string, unknown>): BackgroundTask | undefined {
  return typeof id === 'string' && typeof slice === 'number' ? { task: 'adoption', id, slice } : undefined;
}

function auditTask({ runId, worker, stage, slice }: Record<string, unknown>): BackgroundTask | undefined {
  const isOurs =
    typeof runId === 'string' &&
    typeof worker === 'number' &&
    typeof stage === 'string' &&
    typeof slice === 'number';
  return isOurs ? { task: 'audit', runId, worker, stage, slice } : undefined;
}

function subjectTask(value: Record<string, unknown>): BackgroundTask | undefined {
  const { task, subject, errand, chain, attempt, tries } = value;
  if (task !== 'complete' || !isJsonObject(subject) || !isJsonObject(errand) || typeof chain !== 'string') {
    return undefined;
  }
  const { kind, id } = subject;
  if ((kind !== 'device' && kind !== 'batch') || typeof id !== 'string') {
    return undefined;
  }
  const read = errandOf(errand);
  return (
    read && {
      task,
      subject: { kind, id },
      errand: read,
      chain,
      attempt: Number(attempt),
      tries: Number(tries),
    }
  );
}

function errandOf(errand: Record<string, unknown>): Errand | undefined {
  const { look, recovery, now, pendingSince, pendingLook } = errand;
  if (typeof look === 'string') {
    return { look };
  }
  return recovery === true
    ? {
        recovery,
        ...(now === true ? { now } : {}),
        ...(typeof pendingSince === 'string' ? { pendingSince } : {}),
        ...(typeof pendingLook === 'string' ? { pendingLook } : {}),
      }
    : undefined;
}
