import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ForbiddenError, UnavailableError } from '../../src/dps/errors.ts';
import { CircuitBreaker } from '../../src/enrollment/dps-access/circuit-breaker.ts';
import { RetryLaterError } from '../../src/enrollment/dps-access/retry-later-error.ts';
import { nextAttemptAt } from '../../src/enrollment/pipeline/retry-schedule.ts';
import { Chain } from '../support/chain.ts';
import { manufactured } from '../support/events.ts';
import { proxyOfDps, proxyOfTables } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, through } from '../support/proxy.ts';
import { requestsSoFar } from '../support/queue.ts';

const now = new Date('2026-11-23T12:00:00Z');
const hour = 3_600_000;
const random = fc.double({ min: 0, max: 1, noNaN: true });

describe('when an event is tried again', () => {
  it('is never in the past, never before DPS said, and never more than an hour on', () => {
    const details = fc.record({
      notBefore: fc.option(fc.integer({ min: -hour, max: 100 * hour }), { nil: undefined }),
      soon: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        details,
        random,
        (attempt, { notBefore, soon }, drawn) => {
          const told = notBefore === undefined ? undefined : now.getTime() + notBefore;
          const error = new RetryLaterError('x', { notBefore: told, soon });
          const waits = nextAttemptAt(attempt, now, error, () => drawn).getTime() - now.getTime();
          expect(waits).toBeGreaterThanOrEqual(1_500);
          expect(waits).toBeGreaterThanOrEqual(Math.min(notBefore ?? 0, hour));
          expect(waits).toBeLessThanOrEqual(hour);
          if (soon && (notBefore ?? 0) <= 60_000) {
            expect(waits).toBeLessThanOrEqual(60_000);
          }
        },
      ),
    );
  });

  it('grows from attempt to attempt', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), random, (attempt, drawn) => {
        const at = (count: number) =>
          nextAttemptAt(count, now, new RetryLaterError('x'), () => drawn).getTime();
        expect(at(attempt + 1)).toBeGreaterThanOrEqual(at(attempt));
      }),
    );
  });
});

describe('the circuit breaker', () => {
  const down = new UnavailableError('down', { operation: 'x' });
  const forbidden = new ForbiddenError('forbidden', { operation: 'x' });
  const started = () => {
    const time = { at: now.getTime() };
    const breaker = new CircuitBreaker({ now: () => new Date(time.at), sleep: async () => {} }, () => {});
    return { breaker, time };
  };

  it('lets one caller in 30 seconds through while DPS fails, whenever callers come, and whatever the clock does', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (pauses) => {
        const { breaker, time } = started();
        for (let failure = 0; failure < 5; failure++) {
          breaker.failed(down, 'read');
        }
        let last = time.at;
        for (const pause of pauses) {
          time.at += pause;
          try {
            breaker.enter();
          } catch (error) {
            expect(error).toBeInstanceOf(RetryLaterError);
            expect((error as RetryLaterError).notBefore).toBeLessThanOrEqual(time.at + 30_000);
            continue;
          }
          expect(time.at - last).toBeGreaterThanOrEqual(30_000);
          breaker.failed(down, 'read');
          last = time.at;
        }
      }),
    );
    const { breaker, time } = started();
    for (let failure = 0; failure < 5; failure++) {
      breaker.failed(down, 'read');
    }
    time.at -= hour;
    expect(breaker.enter()).toBe('probe');
  });

  it('is not closed by reading where writing is forbidden', () => {
    const { breaker } = started();
    for (let failure = 0; failure < 5; failure++) {
      breaker.succeeded('read');
      breaker.failed(forbidden, 'write');
    }
    breaker.succeeded('read');
    expect(breaker.isOpen()).toBe(true);
    breaker.succeeded('write');
    expect(breaker.isOpen()).toBe(false);
  });
});

describe('three instances on one quota, on a turned clock', () => {
  const operationsPerMinute = 120;
  const devices = 900;
  let chain: Chain;
  let tables: FaultyProxy;
  let dps: FaultyProxy;
  beforeAll(async () => {
    chain = await Chain.start({
      apps: 0,
      env: { DPS_OPERATIONS_PER_MINUTE: String(operationsPerMinute) },
    });
    const { connectionString } = chain.stack.endpoints.tables;
    tables = await proxyOfTables(chain);
    dps = await proxyOfDps(chain);
    for (let count = 0; count < 3; count++) {
      chain.startInstance({ env: through(dps, tables, connectionString) });
    }
  });
  afterAll(async () => {
    await chain?.close();
    await tables?.close();
    await dps?.close();
  });

  /** Tokens that are being taken, and calls that they are spent on: while it turns, that would take seconds. */
  const underWay = () => tables.underWay(({ path }) => path.includes('/quota')) + dps.underWay();

  it('need a fraction of a call a device, are throttled in less than a hundredth of their calls, and dead-letter nothing', async () => {
    await chain.control('quota', 'PUT', { operationsPerMinute });
    const born = Array.from({ length: devices }, (_, index) => manufactured(`thermostat-paced-${index}`));
    const startedAt = chain.clock.milliseconds();
    await chain.sendToQueue(born);
    while (!born.every((each) => chain.outcomeOf(each))) {
      if (underWay() === 0) {
        chain.advance(250);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (chain.clock.milliseconds() - startedAt > 15 * 60_000) {
        break;
      }
    }
    expect(born.filter((each) => chain.outcomeOf(each)?.type !== 'enrollment.succeeded')).toEqual([]);
    const throttled = await requestsSoFar(chain, /./, /429/);
    const calls = await requestsSoFar(chain);
    expect(throttled / calls).toBeLessThan(0.01);
    // How full the bulks are depends on how fast this machine is beside the turned clock; that is for the bench.
    expect(calls).toBeLessThan(devices / 3);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });
});
