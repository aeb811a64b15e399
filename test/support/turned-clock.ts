import type { Clock } from '../../src/tools/clock.ts';

/** Time that goes by itself and can be turned besides, for the app in this process and for the emulators at once. */
export class TurnedClock implements Clock {
  #ahead = 0;
  readonly #sleepers = new Set<{ wakesAt: number; wake(): void }>();

  now(): Date {
    return new Date(this.milliseconds());
  }

  milliseconds(): number {
    return Date.now() + this.#ahead;
  }

  /** Forward, whoever has slept enough by then wakes. Backward, as when a clock is set right: a sleep lasts as long as it does. */
  turn(inMs: number): void {
    this.#ahead += inMs;
    for (const sleeper of this.#sleepers) {
      if (inMs < 0) {
        sleeper.wakesAt += inMs;
      } else if (sleeper.wakesAt <= this.milliseconds()) {
        sleeper.wake();
      }
    }
  }

  sleep(inMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#sleepers.delete(sleeper);
        settle();
      };
      const abort = () => end(() => reject(signal?.reason));
      const sleeper = { wakesAt: this.milliseconds() + inMs, wake: () => end(resolve) };
      const timer = setTimeout(() => end(resolve), Math.min(Math.max(0, inMs), 2 ** 31 - 1));
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) {
        abort();
      }
    });
  }
}

/** The clock of a machine that goes before another, or after it: it tells another time, and waits as long. */
export class WrongClock implements Clock {
  /** Of what the other clock says; less than zero: behind. */
  aheadInMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Date {
    return new Date(this.#clock.now().getTime() + this.aheadInMs);
  }

  sleep(inMs: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(inMs, signal);
  }
}
