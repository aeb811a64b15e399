import type { EventBus } from '../../events/event-bus.ts';
import { bodyKey } from '../../events/event-identity.ts';
import { inParallel } from '../../tools/in-parallel.ts';
import type { RejectedEvents, RejectedFilter, StoredRejection } from './rejected-events.ts';

export type ReplayChoice = { readonly keys: readonly string[] } | RejectedFilter;

export interface ReplayResult {
  readonly replayed: number;
  readonly refused: readonly { readonly key: string; readonly why: string }[];
}

/**
 * So many are found before any of them is queued, which is as many as a request may name: two people who ask at once mean
 * the same rejections, and not those that the other's replay ends in.
 */
const atOnce = 1_000;
const marksAtOnce = 50;

/** Puts rejected events back on the queue, once each: their reason may be gone, with a new profile, say. */
export class RejectedReplay {
  readonly #events: RejectedEvents;
  readonly #bus: EventBus;

  constructor(events: RejectedEvents, bus: EventBus) {
    this.#events = events;
    this.#bus = bus;
  }

  async replay(choice: ReplayChoice, now: Date): Promise<ReplayResult> {
    const refused: { key: string; why: string }[] = [];
    let replayed = 0;
    let next: StoredRejection[] = [];
    const unseen = new Set('keys' in choice ? choice.keys : []);
    const filter: RejectedFilter = 'keys' in choice ? {} : choice;
    for await (const rejection of this.#events.all(filter)) {
      const { event } = rejection;
      if ('keys' in choice && !unseen.delete(event.key)) {
        continue;
      }
      if (event.replayedAt !== undefined) {
        continue;
      }
      if (event.replayable) {
        next.push(rejection);
      } else {
        refused.push({ key: event.key, why: event.notReplayable ?? 'it cannot be replayed' });
      }
      if (next.length === atOnce) {
        await this.#queue(next, now);
        replayed += next.length;
        next = [];
      }
      if ('keys' in choice && unseen.size === 0) {
        break;
      }
    }
    await this.#queue(next, now);
    for (const key of unseen) {
      refused.push({ key, why: 'no rejected event has this key' });
    }
    return { replayed: replayed + next.length, refused };
  }

  /** A replay is named after its rejection: sent twice, it is one message and one evaluation. */
  async #queue(rejections: readonly StoredRejection[], now: Date): Promise<void> {
    if (rejections.length === 0) {
      return;
    }
    await this.#bus.queueEvents(
      rejections.map(({ event, body, firstSeen }) => {
        const replay = bodyKey(`${event.key} ${event.rejectedAt}`);
        const { key, sender } = event;
        return { key, body, attempt: 1, firstSeen, replay, announced: true, sender };
      }),
    );
    await inParallel(rejections, marksAtOnce, (rejection) => this.#events.markReplayed(rejection, now));
  }
}
