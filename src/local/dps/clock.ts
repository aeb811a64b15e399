const ticksPerMs = 10_000;

/**
 * Makes the service's timestamps: `2023-05-19T23:10:43.9486465Z`, in 100 ns, trailing zeros trimmed (seen in recordings).
 * `now` gives milliseconds; the digits below are made up, rising within a millisecond.
 */
export function createTimestamps(now: () => number): () => string {
  let lastMs = Number.NaN;
  let ticks = 0;
  /** `2023-05-19T23:10:43.948` */
  let prefix = '';
  return () => {
    const ms = Math.floor(now());
    if (ms === lastMs) {
      ticks = Math.min(ticks + 1 + Math.floor(Math.random() * 9), ticksPerMs - 1);
    } else {
      ticks = Math.floor(Math.random() * (ticksPerMs / 2));
      prefix = new Date(ms).toISOString().slice(0, -1);
      lastMs = ms;
    }
    const digits = `${prefix}${String(ticks).padStart(4, '0')}`;
    return digits.endsWith('0') ? `${digits.replace(/\.?0+$/, '')}Z` : `${digits}Z`;
  };
}
