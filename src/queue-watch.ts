import type { EventBus } from './events/event-bus.ts';
import { manufacturingEventsQueue } from './events/messaging-entities.ts';
import type { Clock } from './tools/clock.ts';
import type { Log } from './tools/log.ts';

/** Says how long the oldest event has waited, because Service Bus does not measure it. An alert reads the line. */
export class QueueWatch {
  readonly #bus: EventBus;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(bus: EventBus, clock: Clock, log: Log) {
    this.#bus = bus;
    this.#clock = clock;
    this.#log = log;
  }

  async look(): Promise<void> {
    this.#log('information', 'oldest-message', {
      queue: manufacturingEventsQueue.name,
      ageInSeconds: this.#ageInSeconds(await this.#bus.oldestEvent()),
    });
  }

  /** `unknown` where so many events are to be tried again later that none that is due was found: an alert says so. */
  #ageInSeconds(since: Date | 'none' | 'unknown'): number | 'unknown' {
    if (since === 'none') {
      return 0;
    }
    if (since === 'unknown') {
      return 'unknown';
    }
    return Math.max(0, Math.round((this.#clock.now().getTime() - since.getTime()) / 1_000));
  }
}
