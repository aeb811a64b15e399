import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffInMs, defaultRetryOptions, parseRetryAfter } from '../../src/dps/retry-policy.ts';

const now = Date.UTC(2026, 10, 23, 12, 0, 0);

describe('Retry-After', () => {
  it('may be seconds', () => {
    fc.assert(
      fc.property(fc.nat(), (seconds) => {
        expect(parseRetryAfter(String(seconds), undefined, now)).toBe(seconds * 1000);
      }),
    );
  });

  it.each([
    ['Mon, 23 Nov 2026 12:00:07 GMT'],
    ['Monday, 23-Nov-26 12:00:07 GMT'],
    ['Mon Nov 23 12:00:07 2026'],
  ])('may be a date in each of the forms that RFC 9110 has: %s', (date) => {
    expect(parseRetryAfter(date, undefined, now)).toBe(7000);
  });

  it("counts from the answer's own date, whatever this machine's clock says", () => {
    const answered = 'Mon, 23 Nov 2026 12:00:02 GMT';
    expect(parseRetryAfter('Mon, 23 Nov 2026 12:00:07 GMT', answered, now - 3_600_000)).toBe(5000);
  });

  it('that lies in the past means now', () => {
    expect(parseRetryAfter('Mon, 23 Nov 2026 11:00:00 GMT', undefined, now)).toBe(0);
  });

  it.each([
    undefined,
    '',
    ' ',
    '-5',
    '1.5',
    '0x10',
    '5s',
    'soon',
    'Infinity',
    '2026-11-23T12:00:00Z',
    'Mon, 99 Nov 2026 12:00:07 GMT',
  ])('that is malformed counts as none: %s', (text) => {
    expect(parseRetryAfter(text, undefined, now)).toBeUndefined();
  });
});

describe('The wait without Retry-After', () => {
  it('doubles, stays under its cap, and is jittered between half and all of it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const full = Math.min(30_000, 500 * 2 ** (attempt - 1));
          const wait = backoffInMs(attempt, defaultRetryOptions, () => random);
          expect(wait).toBeGreaterThanOrEqual(Math.floor(full / 2));
          expect(wait).toBeLessThanOrEqual(full);
        },
      ),
    );
  });
});
