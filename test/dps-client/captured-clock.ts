import type { Clock } from '../../src/dps/clock.ts';

/** Time that passes only by being waited for, and keeps a list of the waits. */
export class CapturedClock implements Clock {
  readonly waits: number[] = [];
  #now: number;

  constructor(now = Date.now()) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  async wait(ms: number, abortSignal?: AbortSignal): Promise<void> {
    abortSignal?.throwIfAborted();
    this.waits.push(ms);
    this.#now += ms;
  }

  turn(ms: number): void {
    this.#now += ms;
  }
}
