import type { Attempt, Reconciler } from './reconciler.ts';
import type { RegistrationRecords } from './registration-records.ts';

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

  async slice(attempt: Attempt): Promise<'done' | 'more'> {
    const { id } = attempt.subject;
    const group = await this.#reconciler.group(attempt);
    if (!group) {
      attempt.remote.absent();
      return 'done';
    }
    const etag = await this.#reconciler.disableGroup(attempt, group);
    for (let deleted = 0; deleted < recordsPerSlice; ) {
      const ids = await this.#records.firstPage(id, attempt);
      if (ids.length === 0) {
        await this.#reconciler.removeGroup(attempt, etag);
        return 'done';
      }
      for (let start = 0; start < ids.length; start += deletionsAtOnce) {
        const some = ids.slice(start, start + deletionsAtOnce);
        await Promise.all(some.map((each) => this.#records.delete(each, attempt)));
      }
      deleted += ids.length;
    }
    return 'more';
  }
}
