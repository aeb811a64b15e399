import type { DeviceRegistrationState } from '../../dps/models.ts';
import type { Attempt, Reconciler } from './reconciler.ts';
import type { RegistrationRecords } from './registration-records.ts';
import { RetryLaterError } from './retry-later-error.ts';

/** So many registration records go in one attempt; the rest is for the next slice. */
const recordsPerSlice = 200;
/** Deletions at once: the quota, not the network, sets the pace. */
const deletionsAtOnce = 10;

/**
 * Takes a retired batch's group out of DPS: disabled first, then its registration records, which would count
 * against the instance's million for ever, then the group. Every slice begins from what DPS holds, so it may stop
 * anywhere.
 */
export class GroupRetirement {
  readonly #reconciler: Reconciler;
  readonly #records: RegistrationRecords;

  constructor(reconciler: Reconciler, records: RegistrationRecords) {
    this.#reconciler = reconciler;
    this.#records = records;
  }

  /** `beforeDeletion`: what has to be done while the records are there still. */
  async slice(
    attempt: Attempt,
    beforeDeletion?: (records: readonly DeviceRegistrationState[]) => Promise<void>,
  ): Promise<'done' | 'more'> {
    const { id } = attempt.subject;
    const group = await this.#reconciler.group(attempt);
    if (!group) {
      attempt.remote.absent();
      return 'done';
    }
    const etag = await this.#reconciler.disableGroup(attempt, group);
    let deleted = 0;
    try {
      while (deleted < recordsPerSlice) {
        const records = await this.#records.firstPage(id, attempt);
        if (records.length === 0) {
          await this.#reconciler.removeGroup(attempt, etag);
          return 'done';
        }
        for (let start = 0; start < records.length; start += deletionsAtOnce) {
          const some = records.slice(start, start + deletionsAtOnce);
          await beforeDeletion?.(some);
          const ids = some.map(({ registrationId = '' }) => registrationId);
          await Promise.all(ids.map((each) => this.#records.delete(each, attempt)));
          deleted += some.length;
        }
      }
    } catch (error) {
      // Hubs are slower than DPS: a slice that came some way is no failed attempt.
      if (!(error instanceof RetryLaterError) || deleted === 0) {
        throw error;
      }
    }
    return 'more';
  }
}
