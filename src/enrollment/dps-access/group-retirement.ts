import type { DeviceRegistrationState, EnrollmentGroup } from '../../dps/models.ts';
import type { Clock } from '../../tools/clock.ts';
import { chunksOf } from '../../tools/in-parallel.ts';
import type { Attempt, Reconciler } from './reconciler.ts';
import type { RegistrationRecords } from './registration-records.ts';
import { RetryLaterError } from './retry-later-error.ts';

/** So many registration records go in one attempt; the rest is for the next slice. */
const recordsPerSlice = 200;
/** A registration takes seconds. */
const registersWithinMs = 2 * 60_000;
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

  readonly #clock: Clock;

  constructor(reconciler: Reconciler, records: RegistrationRecords, clock: Clock) {
    this.#reconciler = reconciler;
    this.#records = records;
    this.#clock = clock;
  }

  /**
   * `beforeDeletion`: what has to be done while the records are there still. The group then stays until no registration
   * can be under way any more: without it nobody would find the record that such a one leaves.
   */
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
    const wasDisabled = group.provisioningStatus === 'disabled';
    const etag = await this.#reconciler.disableGroup(attempt, group);
    let deleted = 0;
    try {
      while (deleted < recordsPerSlice) {
        const records = await this.#records.firstPage(id, attempt);
        if (records.length === 0) {
          if (beforeDeletion) {
            this.#waitForRegistrations(group, wasDisabled);
          }
          await this.#reconciler.removeGroup(attempt, etag);
          return 'done';
        }
        for (const some of chunksOf(records, deletionsAtOnce)) {
          await beforeDeletion?.(some);
          const deletions = await Promise.all(some.map((each) => this.#records.delete(each, attempt)));
          deleted += deletions.filter(Boolean).length;
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

  /** @throws RetryLaterError while the group was disabled so shortly ago that a device may still be coming in. */
  #waitForRegistrations({ enrollmentGroupId: id, ...group }: EnrollmentGroup, wasDisabled: boolean): void {
    const now = this.#clock.now().getTime();
    const since = wasDisabled ? Date.parse(group.lastUpdatedDateTimeUtc ?? '') || 0 : now;
    if (now - since < registersWithinMs) {
      const why = `The group ${id} is closed and empty. It is deleted once no device can be registering any more.`;
      throw new RetryLaterError(why, { notBefore: since + registersWithinMs, soon: true });
    }
  }
}
