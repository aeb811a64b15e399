import type { AuditRunner } from './audit/audit-runner.ts';
import type { Clock } from './clock.ts';
import type { BackgroundQueue, BackgroundTask } from './enrollment/background-queue.ts';
import { LaterError } from './enrollment/later-error.ts';
import { subjectOf } from './enrollment/ledger.ts';
import type { SubjectSweeper } from './enrollment/subject-sweeper.ts';
import { isJsonObject } from './events/json.ts';
import type { Log } from './log.ts';
import { StorageUnavailableError } from './storage/tables.ts';

const pauseAfterFailureInMs = 30_000;

export interface BackgroundParts {
  readonly sweeper: SubjectSweeper;
  readonly background: BackgroundQueue;
  readonly clock: Clock;
  readonly log: Log;
  /** Built only when an audit is to be worked on. */
  readonly audit: () => AuditRunner;
}

/** One slice of long work, which queues the next. */
export class BackgroundWorker {
  readonly #parts: BackgroundParts;

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
  }

  async work(message: unknown): Promise<void> {
    const task = taskOf(message);
    if (task.task === 'audit') return this.#parts.audit().slice(task.runId, task.slice);
    const { sweeper, background, clock, log } = this.#parts;
    const next = (notBefore?: Date) =>
      background.continueRetirement(task.batchId, task.slice + 1, task.chain, notBefore);
    try {
      if ((await sweeper.complete(subjectOf('batch', task.batchId))) === 'unfinished') await next();
    } catch (error) {
      if (!(error instanceof LaterError) && !(error instanceof StorageUnavailableError)) throw error;
      log('warning', 'batch-retirement-waits', { batch: task.batchId, why: error.message });
      await next(new Date(clock.now().getTime() + pauseAfterFailureInMs));
    }
  }
}

/** Our own messages alone come here: one that is none of ours is a bug, or a stranger's, and goes to the dead letters. */
function taskOf(message: unknown): BackgroundTask {
  const value: unknown = typeof message === 'string' ? JSON.parse(message) : message;
  if (isJsonObject(value) && typeof value.slice === 'number') {
    if (value.task === 'audit' && typeof value.runId === 'string')
      return { task: 'audit', runId: value.runId, slice: value.slice };
    if (value.task === 'retire-batch' && typeof value.batchId === 'string')
      return { task: 'retire-batch', batchId: value.batchId, slice: value.slice, chain: String(value.chain) };
  }
  throw new Error('background-work holds a message that is no task of ours.');
}
