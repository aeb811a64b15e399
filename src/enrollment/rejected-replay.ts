import type { EventBus } from '../events/event-bus.ts';
import { bodyKey } from '../events/event-identity.ts';
import type { RejectedEvents, RejectedFilter, StoredRejection } from './rejected-events.ts';

export type ReplayChoice = { readonly keys: readonly string[] } | RejectedFilter;

export interface ReplayResult {
  readonly replayed: number;
  readonly refused: readonly { readonly key: string; readonly why: string }[];
}

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
    const unseen = new Set('keys' in choice ? choice.keys : []);
    const filter: RejectedFilter = 'keys' in choice ? {} : choice;
    for await (const rejection of this.#events.all(filter)) {
      const { event } = rejection;
      if ('keys' in choice && !unseen.delete(event.key)) continue;
      if (event.replayedAt !== undefined) continue;
      const why = event.replayable ? undefined : (event.notReplayable ?? 'it cannot be replayed');
      if (why !== undefined) refused.push({ key: event.key, why });
      else {
        await this.#queue(rejection);
        await this.#events.markReplayed(rejection, now);
        replayed++;
      }
      if ('keys' in choice && unseen.size === 0) break;
    }
    for (const key of unseen) refused.push({ key, why: 'no rejected event has this key' });
    return { replayed, refused };
  }

  /** The replay is named after the rejection: sent twice, it is one message and one judgement. */
  #queue({ event, body, firstSeen }: StoredRejection): Promise<void> {
    const replay = bodyKey(`${event.key} ${event.rejectedAt}`);
    return this.#bus.queueEvents([{ key: event.key, body, attempt: 1, firstSeen, replay, announced: true }]);
  }
}
