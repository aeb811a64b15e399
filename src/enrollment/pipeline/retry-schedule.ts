import type { RetryLaterError } from '../dps-access/retry-later-error.ts';

const firstDelayInMs = 2_000;
const longestDelayInMs = 3_600_000;
/** While DPS is known to be down, say: so that the queue drains soon after it is back. */
const longestDelayOfSoonInMs = 60_000;

/** When an event is tried again after so many attempts: later every time, an hour at most, and never for the last time. */
export function nextAttemptAt(
  attempt: number,
  now: Date,
  error: RetryLaterError,
  random = Math.random,
): Date {
  const longest = error.soon ? longestDelayOfSoonInMs : longestDelayInMs;
  const growing = Math.min(longest, firstDelayInMs * 2 ** Math.min(attempt - 1, 20));
  const jittered = growing * (0.75 + random() / 4);
  const told = Math.max(0, (error.notBefore ?? 0) - now.getTime());
  return new Date(now.getTime() + Math.max(jittered, Math.min(told, longestDelayInMs)));
}
