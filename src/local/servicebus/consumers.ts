import type { Consumer } from './queue-types.ts';

/** Consumers that share a queue and are served in turn. */
export class Consumers {
  #all: Consumer[] = [];
  #next = 0;

  add(consumer: Consumer): void {
    this.#all.push(consumer);
  }

  remove(consumer: Consumer): void {
    this.#all = this.#all.filter((other) => other !== consumer);
  }

  /** Whose turn it is among those that take messages now. */
  inTurn(): Consumer | undefined {
    for (let i = 0; i < this.#all.length; i++) {
      const index = (this.#next + i) % this.#all.length;
      const consumer = this.#all[index];
      if (consumer === undefined || consumer.capacity() <= 0) {
        continue;
      }
      this.#next = index + 1;
      return consumer;
    }
    return undefined;
  }
}
