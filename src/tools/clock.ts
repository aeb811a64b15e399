import { setTimeout as delay } from 'node:timers/promises';

/** Time, so that tests can turn it. */
export interface Clock {
  now(): Date;
  /** Resolves after so many milliseconds; rejects at once when the signal aborts. */
  sleep(inMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (inMs, signal) => delay(Math.max(0, inMs), undefined, signal ? { signal } : {}),
};
