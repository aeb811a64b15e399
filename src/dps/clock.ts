/** Where this client takes the time and its waits from, so that tests need not sit them out. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after that many milliseconds, or rejects with the signal's reason as soon as it is aborted. */
  wait(ms: number, abortSignal?: AbortSignal): Promise<void>;
}

/** What setTimeout takes; beyond it fires at once. */
const longestTimerInMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  wait: (ms, abortSignal) =>
    new Promise((resolve, reject) => {
      if (abortSignal?.aborted) {
        reject(abortSignal.reason);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(abortSignal?.reason);
      };
      const timer = setTimeout(
        () => {
          abortSignal?.removeEventListener('abort', onAbort);
          resolve();
        },
        // Timers may fire a millisecond early, and Retry-After means "not before".
        Math.min(Math.ceil(ms) + 1, longestTimerInMs),
      );
      abortSignal?.addEventListener('abort', onAbort, { once: true });
    }),
};
