import type { Reconciler } from './reconciler.ts';

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

  constructor(reconciler: Reconciler) {
    this.#reconciler = reconciler;
  }

  async slice(enrollmentGroupId: string, deadline: number): Promise<'done' | 'more'> {
    const group = await this.#reconciler.group(enrollmentGroupId, deadline);
    if (!group) return 'done';
    await this.#reconciler.disableGroup(group, deadline);
    for (let deleted = 0; deleted < recordsPerSlice; ) {
      const records = await this.#reconciler.registrationsOf(enrollmentGroupId, deadline);
      if (records.length === 0) {
        await this.#reconciler.removeGroup(enrollmentGroupId, deadline);
        return 'done';
      }
      const ids = records.flatMap(({ registrationId }) => registrationId ?? []);
      for (let start = 0; start < ids.length; start += deletionsAtOnce) {
        const some = ids.slice(start, start + deletionsAtOnce);
        await Promise.all(some.map((id) => this.#reconciler.deleteRegistration(id, deadline)));
      }
      deleted += records.length;
    }
    return 'more';
  }
}
