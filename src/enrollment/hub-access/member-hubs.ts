import type { DeviceRegistrationState } from '../../dps/models.ts';
import type { Clock } from '../../tools/clock.ts';
import { chunksOf } from '../../tools/in-parallel.ts';
import type { Log } from '../../tools/log.ts';
import type { RegistrationRecords } from '../dps-access/registration-records.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import type { MembersAccess } from '../ledger/subject-state.ts';
import type { ClosingReason } from './closing-reason.ts';
import { type EarlierPlaces, identityOf, isBeyondReach } from './device-hubs.ts';
import type { Identity, IdentityAccess, IdentityCall, IdentityResult } from './identity-access.ts';

export interface MemberHubsParts {
  readonly access: IdentityAccess;
  readonly records: Pick<RegistrationRecords, 'page'>;
  readonly earlier: EarlierPlaces;
  readonly clock: Clock;
  readonly log: Log;
}

export interface MembersTask {
  readonly enrollmentGroupId: string;
  readonly known: MembersAccess | undefined;
  readonly wanted: 'open' | 'closed';
  readonly reason: ClosingReason;
  /** Why a member stays closed although its batch is open. */
  readonly standing: (registrationId: string) => Promise<ClosingReason | undefined>;
  /** Somebody before may have sent writes that are still under way. */
  readonly inDoubt: boolean;
  /** Minutes later: what has registered meanwhile is looked at again. */
  readonly isLook: boolean;
  readonly tries: number;
  readonly deadline: number;
  readonly isWanted: () => Promise<boolean>;
  readonly save: (progress: MembersAccess) => Promise<void>;
}

/** The members that a retired batch's group had: what deletes their records removes their identities first. */
export type RetiredCall = Pick<MembersTask, 'enrollmentGroupId' | 'tries' | 'deadline' | 'isWanted'>;

/** Two registry operations each, at 100 a minute: a page fits into one slice even where others want some. */
const membersPerPage = 20;
const membersAtOnce = 10;
/** Of the delivery's time the slice leaves this much, to write down how far it came. */
const reserveInMs = 5_000;
const clocksDifferByMs = 60_000;

/**
 * Opens or closes the hubs of a batch's members, in slices that may stop anywhere: what is closed already costs one
 * read more. Single devices go before them at every hub.
 */
export class MemberHubs {
  readonly #parts: MemberHubsParts;

  constructor(parts: MemberHubsParts) {
    this.#parts = parts;
  }

  /** Resolves to how far it came; undefined where nothing was ever closed, and nothing is to be. */
  async slice(task: MembersTask): Promise<MembersAccess | undefined> {
    const start = this.#passOf(task);
    if (!start || start.isDone) {
      return start;
    }
    if (start !== task.known) {
      // Before the first hub is told: whoever comes after a stop, or opens them again, has to know.
      await task.save(start);
    }
    const pass = { progress: start };
    try {
      while (!pass.progress.isDone && this.#hasTime(task)) {
        await this.#page(task, pass);
        await task.save(pass.progress);
      }
    } catch (error) {
      if (!(error instanceof RetryLaterError) || pass.progress === start) {
        throw error;
      }
      // It came some way: that is no failed attempt.
      await task.save(pass.progress);
    }
    return pass.progress;
  }

  #passOf({ known, wanted, reason, isLook, inDoubt }: MembersTask): MembersAccess | undefined {
    if (!known && wanted === 'open') {
      return undefined;
    }
    const isSame = known?.wanted === wanted && (wanted === 'open' || known.event === reason.event);
    if (isSame && (!known.isDone || !isLook)) {
      return inDoubt && !known.isDone ? { ...known, inDoubt: true } : known;
    }
    return {
      wanted,
      isDone: false,
      ...(wanted === 'open' || reason.event === undefined ? {} : { event: reason.event }),
      since: isSame ? known.since : this.#parts.clock.now().toISOString(),
      ...(isSame ? { isLook: true } : {}),
      ...{ done: 0, unknown: 0, written: 0 },
      hubs: known?.hubs ?? [],
      // What was being closed when the release came may land yet.
      ...(inDoubt || (known && !isSame && !known.isDone) ? { inDoubt: true } : {}),
    };
  }

  #hasTime({ deadline }: MembersTask): boolean {
    return this.#parts.clock.now().getTime() < deadline - reserveInMs;
  }

  async #page(task: MembersTask, pass: { progress: MembersAccess }): Promise<void> {
    const { continuation, doneOfPage = [] } = pass.progress;
    const { enrollmentGroupId, isWanted } = task;
    const call = { deadline: task.deadline - reserveInMs, isWanted };
    const page = await this.#parts.records.page(enrollmentGroupId, continuation, membersPerPage, call);
    const { continuation: _, doneOfPage: __, ...rest } = pass.progress;
    if (page === 'expired') {
      pass.progress = { ...rest, done: 0, unknown: 0 };
      return;
    }
    const open = page.records.filter(
      ({ registrationId = '' }) => registrationId !== '' && !doneOfPage.includes(registrationId),
    );
    for (const some of chunksOf(open, membersAtOnce)) {
      const ends = await Promise.allSettled(some.map((record) => this.#member(task, pass, record)));
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed) {
        throw failed.reason;
      }
    }
    const { doneOfPage: ___, ...after } = pass.progress;
    pass.progress =
      page.continuation === undefined
        ? { ...withoutContinuation(after), isDone: true }
        : { ...after, continuation: page.continuation };
  }

  async #member(
    task: MembersTask,
    pass: { progress: MembersAccess },
    record: DeviceRegistrationState,
  ): Promise<void> {
    const id = record.registrationId ?? '';
    const isSkipped = pass.progress.isLook === true && !isSince(record, pass.progress.since);
    const ends = isSkipped ? [] : await this.#settle(task, pass.progress, record);
    const { progress } = pass;
    const seen = identityOf(record)?.hub;
    pass.progress = {
      ...progress,
      done: progress.done + 1,
      unknown: progress.unknown + (ends.includes('unknown') ? 1 : 0),
      written: progress.written + (ends.some(hasWritten) ? 1 : 0),
      hubs: seen === undefined || progress.hubs.includes(seen) ? progress.hubs : [...progress.hubs, seen],
      doneOfPage: [...(progress.doneOfPage ?? []), id],
    };
  }

  async #settle(
    task: MembersTask,
    { inDoubt, hubs }: MembersAccess,
    record: DeviceRegistrationState,
  ): Promise<readonly (IdentityResult | 'unknown')[]> {
    const id = record.registrationId ?? '';
    const identities = await this.#identities(task.enrollmentGroupId, record, hubs);
    const call = this.#call(task, inDoubt === true);
    return Promise.all(
      identities.map((identity) =>
        this.#unlessGone(task, identity, () =>
          task.wanted === 'closed'
            ? this.#parts.access.close(identity, task.reason, call)
            : this.#parts.access.open(identity, () => task.standing(id), call),
        ),
      ),
    );
  }

  /** Before their registration records are deleted, which name the hubs. */
  async remove(task: RetiredCall, records: readonly DeviceRegistrationState[]): Promise<void> {
    for (const some of chunksOf(records, membersAtOnce)) {
      await Promise.all(some.map((record) => this.#remove(task, record)));
    }
  }

  async #remove(task: RetiredCall, record: DeviceRegistrationState): Promise<void> {
    const call = this.#call(task, false);
    const identities = await this.#identities(task.enrollmentGroupId, record, []);
    await Promise.all(
      identities.map((identity) =>
        this.#unlessGone(task, identity, () => this.#parts.access.remove(identity, call)),
      ),
    );
  }

  #call({ deadline, isWanted }: RetiredCall, mustWrite: boolean): IdentityCall {
    return {
      callerClass: 'audit',
      deadline: deadline - reserveInMs,
      isWanted,
      mustWrite,
      beforeWrite: async () => undefined,
    };
  }

  async #unlessGone(
    { tries }: Pick<MembersTask, 'tries'>,
    { hub, deviceId }: Identity,
    change: () => Promise<IdentityResult>,
  ): Promise<IdentityResult | 'unknown'> {
    try {
      return await change();
    } catch (error) {
      if (!isBeyondReach(error, tries)) {
        throw error;
      }
      this.#parts.log('error', 'hub-access-unknown', { hub, deviceId, why: error.message });
      return 'unknown';
    }
  }

  /**
   * The record of a device that knocked at the closed group names its hub no more: then what the audit saw, else the
   * hubs of its fellows, where a member's device id is its registration id.
   */
  async #identities(
    enrollmentGroupId: string,
    record: DeviceRegistrationState,
    hubs: readonly string[],
  ): Promise<readonly Identity[]> {
    const now = identityOf(record);
    const { status, registrationId: id = '' } = record;
    if (now || status === 'unassigned') {
      return now ? [now] : [];
    }
    const earlier = await this.#parts.earlier.of(id, enrollmentGroupId);
    return earlier.length > 0 ? earlier : hubs.map((hub) => ({ hub, deviceId: id }));
  }
}

function hasWritten(end: IdentityResult | 'unknown'): boolean {
  return end !== 'unknown' && end.wrote;
}

function isSince({ lastUpdatedDateTimeUtc = '' }: DeviceRegistrationState, since: string): boolean {
  return !(Date.parse(lastUpdatedDateTimeUtc) < Date.parse(since) - clocksDifferByMs);
}

function withoutContinuation({ continuation: _, ...progress }: MembersAccess): MembersAccess {
  return progress;
}
