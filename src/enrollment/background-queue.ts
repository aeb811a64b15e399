import { randomUUID } from 'node:crypto';

import type { EventBus } from '../events/event-bus.ts';

/** What `background-work` carries. */
export type BackgroundTask =
  | {
      readonly task: 'retire-batch';
      readonly batchId: string;
      readonly slice: number;
      readonly chain: string;
    }
  | { readonly task: 'audit'; readonly runId: string; readonly slice: number };

/** Starts and continues chains of slices: each slice queues its successor. */
export class BackgroundQueue {
  readonly #bus: EventBus;

  constructor(bus: EventBus) {
    this.#bus = bus;
  }

  async continueRetirement(
    batchId: string,
    slice = 1,
    chain: string = randomUUID(),
    notBefore?: Date,
  ): Promise<void> {
    await this.#queue(
      `retire-${batchId}-${chain}-${slice}`,
      { task: 'retire-batch', batchId, slice, chain },
      notBefore,
    );
  }

  async continueAudit(runId: string, slice: number, notBefore?: Date): Promise<void> {
    await this.#queue(`audit-${runId}-${slice}`, { task: 'audit', runId, slice }, notBefore);
  }

  #queue(id: string, task: BackgroundTask, notBefore: Date | undefined): Promise<void> {
    return this.#bus.queueWork({ id, work: { ...task }, ...(notBefore ? { notBefore } : {}) });
  }
}
