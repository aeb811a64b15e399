import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import type { BackgroundQueue } from '../enrollment/pipeline/background-queue.ts';
import { StorageUnavailableError } from '../storage/tables.ts';
import type { Clock } from '../tools/clock.ts';
import type { Log } from '../tools/log.ts';
import { type Adopter, AdoptionFailedError } from './adopter.ts';
import { type Adoption, newAdoption } from './adoption.ts';
import { type AdoptionRules, ProductFinder } from './adoption-rules.ts';
import type { AdoptionStore } from './adoption-store.ts';

/** No invocation runs for ever: the next slice goes on from the checkpoint. */
const sliceInMs = 60_000;
const pauseAfterFailureInMs = 30_000;

export interface AdoptionRunnerParts {
  readonly store: AdoptionStore;
  readonly adopter: Adopter;
  readonly background: BackgroundQueue;
  readonly clock: Clock;
  readonly log: Log;
}

/** Takes an adoption, or its undoing, to its end. */
export class AdoptionRunner {
  readonly #parts: AdoptionRunnerParts;

  constructor(parts: AdoptionRunnerParts) {
    this.#parts = parts;
  }

  async start(rules: AdoptionRules, dryRun: boolean): Promise<Adoption> {
    const { store, background, clock } = this.#parts;
    const adoption = newAdoption(clock.now(), dryRun);
    await store.begin(adoption, rules);
    await background.continueAdoption(adoption.id, 1);
    return adoption;
  }

  /** Of one that has ended. Undefined: there is nothing to undo, or it is still at work. */
  async undo(adoption: Adoption): Promise<Adoption | undefined> {
    const { store, background, clock } = this.#parts;
    if (adoption.dryRun || (adoption.status !== 'finished' && adoption.status !== 'failed')) {
      return undefined;
    }
    const { finishedAt: _, detail: __, ...rest } = adoption;
    const undoing: Adoption = { ...rest, status: 'undoing', checkpoint: { phase: 'undo-devices' } };
    await store.save(undoing);
    await background.continueAdoption(adoption.id, clock.now().getTime());
    return undoing;
  }

  async slice(id: string, slice: number): Promise<void> {
    const { store, adopter, background, clock, log } = this.#parts;
    let adoption = await store.read(id);
    if (adoption?.status !== 'running' && adoption?.status !== 'undoing') {
      return;
    }
    const products = new ProductFinder(await store.rules(id));
    const until = clock.now().getTime() + sliceInMs;
    try {
      while (clock.now().getTime() < until) {
        adoption = await adopter.step(adoption, products);
        if (adoption.checkpoint.phase === 'done') {
          return await this.#end(adoption, adoption.status === 'undoing' ? 'undone' : 'finished');
        }
        await store.save(adoption);
      }
    } catch (error) {
      if (error instanceof AdoptionFailedError && adoption) {
        return await this.#end({ ...adoption, detail: error.message }, 'failed');
      }
      if (!(error instanceof RetryLaterError) && !(error instanceof StorageUnavailableError)) {
        throw error;
      }
      log('warning', 'adoption-waits', { id, why: error.message });
      const notBefore = new Date(clock.now().getTime() + pauseAfterFailureInMs);
      return background.continueAdoption(id, slice + 1, notBefore);
    }
    await background.continueAdoption(id, slice + 1);
  }

  async #end(adoption: Adoption, status: 'finished' | 'failed' | 'undone'): Promise<void> {
    const { store, clock, log } = this.#parts;
    await store.save({ ...adoption, status, finishedAt: clock.now().toISOString() });
    const { id, dryRun, operations, taken } = adoption;
    log(status === 'failed' ? 'error' : 'information', `adoption-${status}`, {
      ...{ id, dryRun, operations },
      ...taken,
    });
  }
}
