import { randomUUID } from 'node:crypto';

import type { EventBus } from '../../events/event-bus.ts';
import type { SubjectRef, SubjectState } from '../ledger/subject-state.ts';
import type { Errand, Recovery } from './delivery.ts';

/** Verifies DPS once more for a device or batch, or picks up what was left behind. */
export interface SubjectTask {
  readonly task: 'complete';
  readonly subject: SubjectRef;
  readonly errand: Errand;
  readonly chain: string;
  readonly attempt: number;
  readonly tries: number;
}

/** A worker on an audit is a sequence of messages, each of which brings a slice of time. */
export interface AuditSlice {
  readonly runId: string;
  /** Which worker, and the stage of the run in which it was started. */
  readonly worker: number;
  readonly stage: string;
  /** Counts from 1. 0: looks whether the run has begun, and begins it if not. */
  readonly slice: number;
}

/** What `background-work` carries. */
export type BackgroundTask =
  | SubjectTask
  | ({ readonly task: 'audit' } & AuditSlice)
  | { readonly task: 'adoption'; readonly id: string; readonly slice: number };

export interface CompletionRequest {
  readonly subject: SubjectRef;
  readonly errand: Errand;
  readonly chain?: string;
  readonly attempt: number;
  readonly tries?: number;
  readonly nonce?: string;
  readonly notBefore?: Date;
}

/** Long work goes in slices, each of which queues its successor; and work for which there is no event. */
export class BackgroundQueue {
  readonly #bus: Pick<EventBus, 'queueWork'>;

  constructor(bus: Pick<EventBus, 'queueWork'>) {
    this.#bus = bus;
  }

  async complete({ nonce = randomUUID(), notBefore, ...request }: CompletionRequest): Promise<void> {
    const { errand } = request;
    const own = 'look' in errand ? `look-${errand.look}` : randomUUID();
    const task: SubjectTask = { task: 'complete', tries: 0, chain: own, ...request };
    await this.#queue(`complete-${task.chain}-${task.attempt}-${nonce}`, task, notBefore);
  }

  /** The audit has found what nobody has completed for long. */
  recover(subject: SubjectRef, state: SubjectState): Promise<void> {
    return this.complete({ subject, errand: recoveryOf(state), attempt: 1 });
  }

  /** A person does not want to wait. A message does it, so that it is done whatever becomes of this process. */
  retryNow(subject: SubjectRef, state: SubjectState): Promise<void> {
    return this.complete({ subject, errand: { ...recoveryOf(state), now: true }, attempt: 1 });
  }

  async continueAudit(slice: AuditSlice, notBefore?: Date): Promise<void> {
    const { runId, stage, worker, slice: number } = slice;
    await this.#queue(`audit-${runId}-${stage}-${worker}-${number}`, { task: 'audit', ...slice }, notBefore);
  }

  async continueAdoption(id: string, slice: number, notBefore?: Date): Promise<void> {
    await this.#queue(`adoption-${id}-${slice}`, { task: 'adoption', id, slice }, notBefore);
  }

  #queue(id: string, task: BackgroundTask, notBefore: Date | undefined): Promise<void> {
    return this.#bus.queueWork({ id, work: { ...task }, ...(notBefore ? { notBefore } : {}) });
  }
}

export function recoveryOf({ pendingSince, look }: SubjectState): Recovery {
  return {
    recovery: true,
    ...(pendingSince === undefined ? {} : { pendingSince }),
    ...(look === undefined ? {} : { pendingLook: look }),
  };
}
