import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  close,
  emptyWindow,
  type QuotaWindow,
  type Spender,
  take,
} from '../../src/enrollment/quota-window.ts';

const limits = { operationsPerMinute: 100, auditShare: 0.3 };
const start = Date.parse('2026-11-23T12:00:00Z');

describe('the operations budget of a minute', () => {
  it('never lets any 60 seconds hold more operations than the quota, however they are asked for', () => {
    const demands = fc.array(
      fc.record({
        afterMs: fc.integer({ min: 0, max: 4_000 }),
        want: fc.integer({ min: 1, max: 80 }),
        spender: fc.constantFrom<Spender>('pipeline', 'audit'),
      }),
      { minLength: 1, maxLength: 200 },
    );
    fc.assert(
      fc.property(demands, (asked) => {
        const granted: { at: number; count: number }[] = [];
        let window = emptyWindow;
        let now = start;
        for (const { afterMs, want, spender } of asked) {
          now += afterMs;
          const taken = take(window, now, want, spender, limits);
          window = taken.window;
          if (taken.granted > 0) granted.push({ at: now, count: taken.granted });
          else expect(taken.retryInMs).toBeGreaterThan(0);
        }
        for (const { at } of granted) {
          const inMinute = granted.filter((each) => each.at >= at && each.at < at + 60_000);
          expect(inMinute.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(
            limits.operationsPerMinute,
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it('uses the quota to the full when more is asked for than there is', () => {
    const spent = spend(start, start + 10 * 60_000, 'pipeline');
    expect(spent.perMinute).toBeGreaterThan(limits.operationsPerMinute * 0.95);
  });

  it('answers a quiet system at once', () => {
    expect(take(emptyWindow, start, 20, 'pipeline', limits).granted).toBe(20);
  });

  it('gives the audit its share and no more, and the pipeline the rest', () => {
    let window: QuotaWindow = emptyWindow;
    const spent = { pipeline: 0, audit: 0 };
    for (let now = start; now < start + 20 * 60_000; now += 100) {
      for (const spender of ['pipeline', 'audit'] as const) {
        const taken = take(window, now, 10, spender, limits);
        window = taken.window;
        spent[spender] += taken.granted;
      }
    }
    expect(spent.audit / 20).toBeLessThanOrEqual(31);
    expect(spent.audit / 20).toBeGreaterThan(20);
    expect(spent.pipeline / 20).toBeGreaterThan(60);
  });

  it('grants nothing after a 429 until DPS said', () => {
    const window = close(emptyWindow, start, 5_000);
    expect(take(window, start + 4_999, 1, 'pipeline', limits)).toMatchObject({ granted: 0, retryInMs: 1 });
    expect(take(window, start + 5_001, 1, 'pipeline', limits).granted).toBe(1);
  });

  it('survives a clock that is set an hour back', () => {
    let { window } = take(emptyWindow, start, 100, 'pipeline', limits);
    window = close(window, start, 3_600_000);
    const taken = take(window, start - 3_600_000, 5, 'pipeline', limits);
    expect(taken.granted).toBe(5);
  });
});

function spend(from: number, to: number, spender: Spender): { perMinute: number } {
  let window = emptyWindow;
  let total = 0;
  for (let now = from; now < to; ) {
    const taken = take(window, now, 10, spender, limits);
    window = taken.window;
    total += taken.granted;
    now += Math.max(20, taken.retryInMs);
  }
  return { perMinute: (total * 60_000) / (to - from) };
}
