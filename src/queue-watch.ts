import type { Clock } from './clock.ts';
import type { EventBus } from './events/event-bus.ts';
import { manufacturingEventsQueue } from './events/messaging-entities.ts';
import type { Log } from './log.ts';

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
    const since = await this.#bus.oldestEvent();
    const ageInMs = since === undefined ? 0 : Math.max(0, this.#clock.now().getTime() - since.getTime());
    this.#log('information', 'oldest-message', {
      queue: manufacturingEventsQueue.name,
      ageInSeconds: Math.round(ageInMs / 1_000),
    });
  }
}
