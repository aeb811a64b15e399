const TICKS_PER_MS = 10_000;

/**
 * Makes the service's timestamps: `2023-05-19T23:10:43.9486465Z`, in 100 ns, trailing zeros trimmed (seen in recordings).
 * `now` gives milliseconds; the digits below are made up, rising within a millisecond.
 */
export function createTimestamps(now: () => number): () => string {
  let lastMs = Number.NaN;
  let ticks = 0;
  return () => {
    const ms = Math.floor(now());
    ticks =
      ms === lastMs
        ? Math.min(ticks + 1 + Math.floor(Math.random() * 9), TICKS_PER_MS - 1)
        : Math.floor(Math.random() * 5_000);
    lastMs = ms;
    const iso = new Date(ms).toISOString();
    const fraction = `${iso.slice(20, 23)}${String(ticks).padStart(4, '0')}`.replace(/0+$/, '');
    return fraction === '' ? `${iso.slice(0, 19)}Z` : `${iso.slice(0, 19)}.${fraction}Z`;
  };
}
