import type { EventKey } from '../../events/event-identity.ts';
import { RowConflictError } from '../../storage/tables.ts';
import type { Clock } from '../../tools/clock.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import type { Ledger, LedgerView } from '../ledger/ledger.ts';
import type { EventRecord, SubjectRef, SubjectState } from '../ledger/subject-state.ts';
import type { Delivery } from './delivery.ts';
import { type Decision, evaluateDelivery, hasRoom, type MergeContext } from './merge.ts';

/** Deliveries of one subject that are merged in one transaction, which takes 100 rows. */
const mergedAtOnce = 40;
const conflictsAtMost = 20;
/** For more than these it is worth a read to know whether there is room. */
const fewAtOnce = 4;

export interface Merged {
  readonly decision: Decision;
  /** As written. */
  readonly view: LedgerView;
}

export type MergeRequest = Pick<MergeContext, 'hasHeld' | 'takeSlot'> & {
  readonly delivery: Delivery;
  /** Most likely nothing is stored: the first write finds out. */
  readonly seemsNew: boolean;
};

interface Waiting extends MergeRequest {
  done(merged: Merged): void;
  failed(error: unknown): void;
}

interface WaitingMerges {
  readonly waiting: Waiting[];
}

/**
 * Merges deliveries into the ledger: those of one device or batch that wait in this process go into one transaction, so
 * that however many there are they neither conflict with each other nor delay other devices.
 */
export class MergeQueue {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #desired: (view: LedgerView, state: SubjectState) => ReturnType<MergeContext['desired']>;
  readonly #waiting = new Map<string, WaitingMerges>();

  constructor(
    ledger: Ledger,
    clock: Clock,
    desired: (view: LedgerView, state: SubjectState) => ReturnType<MergeContext['desired']>,
  ) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#desired = desired;
  }

  merge(request: MergeRequest): Promise<Merged> {
    const { kind, id } = request.delivery.subject;
    const name = `${kind} ${id}`;
    return new Promise((done, failed) => {
      const merges = this.#waiting.get(name);
      const waiting: Waiting = { ...request, done, failed };
      if (merges) {
        merges.waiting.push(waiting);
        return;
      }
      const first: WaitingMerges = { waiting: [waiting] };
      this.#waiting.set(name, first);
      void this.#serve(name, first);
    });
  }

  async #serve(name: string, merges: WaitingMerges): Promise<void> {
    while (merges.waiting.length > 0) {
      const some = merges.waiting.splice(0, mergedAtOnce);
      try {
        await this.#mergeAll(some);
      } catch (error) {
        for (const { failed } of some) {
          failed(error);
        }
      }
    }
    this.#waiting.delete(name);
  }

  async #mergeAll(some: readonly Waiting[]): Promise<void> {
    const [first] = some;
    if (!first) {
      return;
    }
    const { subject } = first.delivery;
    const isBlank = some.length === 1 && first.seemsNew;
    let view = isBlank ? this.#ledger.blank(subject) : await this.#read(subject, some);
    for (let conflicts = 0; ; conflicts++) {
      try {
        return await this.#attempt(some, view);
      } catch (error) {
        if (!(error instanceof RowConflictError)) {
          throw error;
        }
        if (conflicts >= conflictsAtMost) {
          throw new RetryLaterError('Too many concurrent updates to this device.', { soon: true });
        }
        await this.#clock.sleep(Math.random() * 10 * Math.min(conflicts, 10));
        view = await this.#read(subject, some);
      }
    }
  }

  /** Where many wait for room, most of their own rows are of no use: they come again. */
  async #read(subject: SubjectRef, some: readonly Waiting[]): Promise<LedgerView> {
    const all = keysOf(some);
    if (some.length <= fewAtOnce) {
      return this.#ledger.read(subject, all);
    }
    const { state } = await this.#ledger.read(subject);
    const read = keysNeeded(state, some);
    const view = await this.#ledger.read(subject, read);
    // The list may have got room, or one of them in, since.
    const isEnough = keysNeeded(view.state, some).every((key) => read.includes(key));
    return isEnough ? view : this.#ledger.read(subject, all);
  }

  async #attempt(some: readonly Waiting[], view: LedgerView): Promise<void> {
    const now = this.#clock.now();
    let { state } = view;
    const records = new Map<EventKey, EventRecord>();
    const decisions = some.map(({ delivery, hasHeld, takeSlot }) => {
      const key = delivery.event?.identity.key ?? '';
      const known = records.get(key) ?? view.events.get(key)?.record;
      const context = {
        now,
        hasHeld,
        takeSlot,
        desired: (next: SubjectState) => this.#desired(view, next),
      };
      const evaluation = evaluateDelivery(state, known, delivery, context);
      state = evaluation.state ?? state;
      if (evaluation.record) {
        records.set(key, evaluation.record);
      }
      return evaluation.decision;
    });
    const changed = state === view.state ? {} : { state };
    const written =
      state === view.state && records.size === 0
        ? view
        : await this.#ledger.write(view, { ...changed, events: [...records.values()] });
    some.forEach(({ done }, index) => {
      const decision = decisions[index];
      if (decision) {
        done({ decision, view: written });
      }
    });
  }
}

function keysOf(some: readonly Waiting[]): EventKey[] {
  return [...new Set(some.flatMap(({ delivery }) => delivery.event?.identity.key ?? []))];
}

function keysNeeded(state: SubjectState, some: readonly Waiting[]): EventKey[] {
  return keysOf(hasRoom(state) ? some : some.filter(({ delivery }) => mayDoMoreThanWait(state, delivery)));
}

function mayDoMoreThanWait({ pending, lease }: SubjectState, { event, chain }: Delivery): boolean {
  const isPending = pending.some(({ key }) => key === event?.identity.key);
  return isPending || lease?.chain === chain || event?.evaluation.rejection !== undefined;
}
