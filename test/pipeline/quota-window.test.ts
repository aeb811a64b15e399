import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CallerClass,
  close,
  emptyWindow,
  type QuotaLimits,
  type QuotaWindow,
  take,
} from '../../src/enrollment/dps-access/quota-window.ts';

const limits = { operationsPerMinute: 100, auditShare: 0.3 };
const start = Date.parse('2026-11-23T12:00:00Z');
const share = fc.double({ min: 0.05, max: 0.6, noNaN: true });
/** What asks for less at a time gets no further than its own pace. */
const ask = fc.integer({ min: 4, max: 40 });

describe('the operations budget of a minute', () => {
  it('never lets any 60 seconds hold more operations than the quota, however they are asked for', () => {
    const demands = fc.array(
      fc.record({
        afterMs: fc.integer({ min: 0, max: 4_000 }),
        want: fc.integer({ min: 1, max: 80 }),
        callerClass: fc.constantFrom<CallerClass>('pipeline', 'audit'),
      }),
      { minLength: 1, maxLength: 200 },
    );
    fc.assert(
      fc.property(demands, (asked) => {
        const granted: { at: number; count: number }[] = [];
        let window = emptyWindow;
        let now = start;
        for (const { afterMs, want, callerClass } of asked) {
          now += afterMs;
          const taken = take(window, now, want, callerClass, limits);
          window = taken.window;
          if (taken.granted > 0) {
            granted.push({ at: now, count: taken.granted });
          } else {
            expect(taken.retryInMs).toBeGreaterThan(0);
          }
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
      for (const callerClass of ['pipeline', 'audit'] as const) {
        const taken = take(window, now, 10, callerClass, limits);
        window = taken.window;
        spent[callerClass] += taken.granted;
      }
    }
    expect(spent.audit / 20).toBeLessThanOrEqual(31);
    expect(spent.audit / 20).toBeGreaterThan(20);
    expect(spent.pipeline / 20).toBeGreaterThan(60);
  });

  it('lets the audit read at 95 % of the quota or more while the pipeline is idle', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 5_000 }),
        share,
        ask,
        (operationsPerMinute, auditShare, want) => {
          const night = new Minutes({ operationsPerMinute, auditShare });
          night.pass(10, { audit: want });
          expect(night.perMinute('audit')).toBeGreaterThanOrEqual(operationsPerMinute * 0.95);
        },
      ),
      { numRuns: 5 },
    );
  });

  it('holds the audit to its share, and gives it that, while the pipeline wants everything', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 5_000 }),
        share,
        ask,
        (operationsPerMinute, auditShare, want) => {
          const day = new Minutes({ operationsPerMinute, auditShare });
          day.pass(3, { audit: want, pipeline: want });
          day.forget();
          day.pass(10, { audit: want, pipeline: want });
          const floor = Math.max(1, Math.floor(operationsPerMinute * auditShare));
          expect(day.perMinute('audit')).toBeLessThanOrEqual(floor);
          expect(day.perMinute('audit')).toBeGreaterThanOrEqual(floor * 0.9 - 1);
          const rest = operationsPerMinute - floor;
          expect(day.perMinute('pipeline')).toBeGreaterThanOrEqual(rest * 0.9 - 1);
        },
      ),
      { numRuns: 5 },
    );
  });

  it('gives all that comes free to a pipeline that begins to want everything, but for a second of tokens', () => {
    fc.assert(
      fc.property(fc.integer({ min: 300, max: 5_000 }), share, (operationsPerMinute, auditShare) => {
        const morning = new Minutes({ operationsPerMinute, auditShare });
        morning.pass(3, { audit: 20 });
        morning.forget();
        morning.pass(0.5, { audit: 20, pipeline: 50 });
        const floor = Math.floor(operationsPerMinute * auditShare);
        const aSecond = Math.ceil(operationsPerMinute / 60);
        // In half a minute half of what the audit had spent comes free: its share of that it may have again.
        expect(morning.total('audit')).toBeLessThanOrEqual(
          Math.max(0, floor - operationsPerMinute / 2) + aSecond + 1,
        );
        expect(morning.total('pipeline')).toBeGreaterThanOrEqual(
          Math.min(operationsPerMinute - floor, operationsPerMinute * 0.47) - 2 * aSecond - 1,
        );
      }),
      { numRuns: 5 },
    );
  });

  it('gives the pace to a pipeline that waits, even where the minute still has room', () => {
    const early = new Minutes({ operationsPerMinute: 1_000, auditShare: 0.3 });
    early.pass(1 / 3, { audit: 16 });
    expect(early.total('audit')).toBeGreaterThan(300);
    early.forget();
    early.pass(1 / 4, { audit: 16, pipeline: 16 });
    expect(early.total('audit')).toBeLessThanOrEqual(Math.ceil(1_000 / 60));
  });

  it('has whoever gets nothing ask again within a second, since what another leaves may change hands', () => {
    const window: QuotaWindow = { ...emptyWindow, slots: [[start / 1_000 - 1, 100, 0]] };
    for (const spender of ['pipeline', 'audit'] as const) {
      const { granted, retryInMs } = take(window, start, 1, spender, limits);
      expect(granted).toBe(0);
      expect(retryInMs).toBeLessThanOrEqual(1_000);
    }
  });

  it('leaves the quota to the audit within a second of tokens when the pipeline falls silent', () => {
    const evening = new Minutes(limits);
    evening.pass(3, { audit: 20, pipeline: 20 });
    evening.forget();
    evening.pass(1, { audit: 20 });
    // All that came free in this minute: what both had spent in the one before.
    expect(evening.total('audit')).toBeGreaterThanOrEqual(limits.operationsPerMinute * 0.95 - 3);
  });

  it('serves an event now and then at once while the audit reads', () => {
    const night = new Minutes({ operationsPerMinute: 1_000, auditShare: 0.3 });
    night.pass(3, { audit: 16 });
    for (let event = 0; event < 20; event++) {
      night.pass(0.25, { audit: 16 });
      expect(night.ask('pipeline', 3)).toBe(3);
    }
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

function spend(from: number, to: number, callerClass: CallerClass): { perMinute: number } {
  let window = emptyWindow;
  let total = 0;
  for (let now = from; now < to; ) {
    const taken = take(window, now, 10, callerClass, limits);
    window = taken.window;
    total += taken.granted;
    now += Math.max(20, taken.retryInMs);
  }
  return { perMinute: (total * 60_000) / (to - from) };
}

/** Time in which each callerClass asks again as it is told to: at once, or after the pause it was given. */
class Minutes {
  readonly #limits: QuotaLimits;
  #window: QuotaWindow = emptyWindow;
  #now = start;
  #since = start;
  #spent: Record<CallerClass, number> = { pipeline: 0, audit: 0 };

  constructor(limits: QuotaLimits) {
    this.#limits = limits;
  }

  pass(minutes: number, wants: Partial<Record<CallerClass, number>>): void {
    const end = this.#now + minutes * 60_000;
    const next: Record<CallerClass, number> = { pipeline: this.#now, audit: this.#now };
    for (; this.#now < end; this.#now += 20) {
      for (const [callerClass, want] of Object.entries(wants) as [CallerClass, number][]) {
        if (next[callerClass] <= this.#now) {
          next[callerClass] = this.#now + this.#take(callerClass, want).retryInMs;
        }
      }
    }
  }

  ask(callerClass: CallerClass, want: number): number {
    return this.#take(callerClass, want).granted;
  }

  forget(): void {
    this.#spent = { pipeline: 0, audit: 0 };
    this.#since = this.#now;
  }

  total(callerClass: CallerClass): number {
    return this.#spent[callerClass];
  }

  perMinute(callerClass: CallerClass): number {
    return (this.#spent[callerClass] * 60_000) / (this.#now - this.#since);
  }

  #take(callerClass: CallerClass, want: number) {
    const taken = take(this.#window, this.#now, want, callerClass, this.#limits);
    this.#window = taken.window;
    this.#spent[callerClass] += taken.granted;
    return taken;
  }
}
