import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured, type TestEvent } from '../support/events.ts';
import { allQuiet, requestsSoFar } from '../support/queue.ts';

const minute = 60_000;

describe('while DPS cannot be used, for hours on a turned clock', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    chain.startInstance();
  });
  afterAll(() => chain?.close());
  afterEach(async () => {
    await faults();
    for (let step = 0; step < 500 && isWaiting(); step++) {
      await allQuiet(chain);
      chain.advance(20_000);
    }
    expect(isWaiting()).toBe(false);
  });

  const statusOf = (sent: TestEvent) => chain.recordOf(sent);
  const faults = (...rules: object[]) => chain.control('faults', 'PUT', rules);
  const isWaiting = () => chain.stack.serviceBus.counts('manufacturing-events').scheduled > 0;
  const deadLetters = () => chain.stack.serviceBus.counts('manufacturing-events').deadLetter;

  /** Turns the clock in small steps until all have ended. @returns how long that took by it. */
  async function drained(sent: readonly TestEvent[], stepInMs: number, limitInMs: number): Promise<number> {
    for (let passed = 0; passed <= limitInMs; passed += stepInMs) {
      await allQuiet(chain);
      if (sent.every((each) => chain.outcomeOf(each))) {
        return passed;
      }
      chain.advance(stepInMs);
    }
    return Number.POSITIVE_INFINITY;
  }

  it('probes it once in 30 seconds, keeps every event retrying, and drains soon after', async () => {
    const sent = Array.from({ length: 5 }, (_, index) => manufactured(`thermostat-down-${index}`));
    await faults({ operation: '*', status: 503 });
    await chain.sendToQueue(sent);
    await allQuiet(chain);
    const opened = () => chain.instances[0]!.logged.some((line) => line.includes('dps-unavailable'));
    for (let step = 0; step < 10 && !opened(); step++) {
      chain.advance(2_000);
      await allQuiet(chain);
    }
    const atFirst = await requestsSoFar(chain);
    expect(atFirst).toBeLessThan(20);
    for (let step = 0; step < 60; step++) {
      const before = await requestsSoFar(chain);
      chain.advance(minute);
      await allQuiet(chain);
      expect((await requestsSoFar(chain)) - before, `in minute ${step}`).toBeLessThanOrEqual(2);
    }
    expect(await requestsSoFar(chain)).toBeGreaterThan(atFirst + 30);
    const now = chain.clock.milliseconds();
    for (const each of sent) {
      const record = await statusOf(each);
      expect(record).toMatchObject({ status: 'retrying' });
      const waits = Date.parse(record!.nextAttemptAt!) - now;
      expect(waits).toBeGreaterThan(0);
      expect(waits).toBeLessThanOrEqual(minute);
    }
    expect(sent.filter((each) => chain.outcomeOf(each))).toEqual([]);

    await faults();
    expect(await drained(sent, 5_000, 5 * minute)).toBeLessThanOrEqual(2 * minute);
    expect(sent.map((each) => chain.outcomeOf(each)?.type)).toEqual(sent.map(() => 'enrollment.succeeded'));
    expect(deadLetters()).toBe(0);
    expect(chain.instances[0]!.thrown).toEqual([]);
    const logged = (what: string) => chain.instances[0]!.logged.filter((line) => line.includes(what));
    expect(logged('dps-unavailable')).toHaveLength(1);
    expect(logged('dps-available')).toHaveLength(1);
  });

  it.each([
    ['its key was rotated', 401],
    ['its role was taken', 403],
  ])(
    'when %s (%i), events wait, health and log say so, and all are done once access is back',
    async (_, status) => {
      const { services, logged } = chain.instances[0]!;
      const rights = [
        'ServiceConfig',
        'EnrollmentRead',
        'EnrollmentWrite',
        'RegistrationStatusRead',
        'RegistrationStatusWrite',
      ];
      const key = /SharedAccessKey=([^;]+)/.exec(chain.stack.endpoints.dps.connectionString)![1]!;
      const policy = { keyName: 'provisioningserviceowner', primaryKey: key, secondaryKey: key, rights };
      const other = Buffer.alloc(32, 9).toString('base64');
      const lost =
        status === 401
          ? { ...policy, primaryKey: other, secondaryKey: other }
          : { ...policy, rights: ['EnrollmentRead', 'RegistrationStatusRead'] };
      const sent = Array.from({ length: 8 }, (_, index) =>
        manufactured(`thermostat-lost-${status}-${index}`),
      );
      await chain.sendToQueue(sent.slice(0, 2));
      await chain.ended(sent.slice(0, 2));
      expect(await (await chain.control('policies', 'PUT', [lost])).text()).toBe('');
      await chain.sendToQueue(sent.slice(2));
      await allQuiet(chain);
      expect(await statusOf(sent[7]!)).toMatchObject({
        status: 'retrying',
        nextAttemptAt: expect.any(String),
      });
      expect(await services.health()).toMatchObject({ status: 503 });
      const alerted = () =>
        logged.some((line) => line.includes('dps-unavailable') && line.includes(`failed: ${status} `));
      for (let step = 0; step < 10 && !alerted(); step++) {
        chain.advance(4_000);
        await allQuiet(chain);
      }
      expect(alerted()).toBe(true);
      for (let step = 0; step < 20; step++) {
        chain.advance(3 * minute);
        await allQuiet(chain);
      }
      expect(sent.slice(2).filter((each) => chain.outcomeOf(each))).toEqual([]);
      await chain.control('policies', 'PUT', [policy]);
      expect(await drained(sent, 5_000, 5 * minute)).toBeLessThanOrEqual(2 * minute);
      expect(sent.map((each) => chain.outcomeOf(each)?.type)).toEqual(sent.map(() => 'enrollment.succeeded'));
      expect(await services.health()).toMatchObject({ status: 200 });
      expect(deadLetters()).toBe(0);
    },
  );

  it.each([
    { told: '45', waits: 45_000 },
    { told: 'in 90 seconds, as an HTTP date', waits: 90_000 },
    { told: 'never', waits: 2_000 },
    { told: '-5', waits: 2_000 },
    { told: '99999999', waits: 3_600_000 },
  ])(
    'after a 429 with Retry-After: $told nobody calls before $waits ms are over, and nothing ends',
    async ({ told, waits }) => {
      const name = told.replace(/\W/g, '');
      const [first, second] = [manufactured(`thermostat-t1-${name}`), manufactured(`thermostat-t2-${name}`)];
      // The date is held against the answer's own, which is of the day that it is.
      const retryAfter = told.includes('HTTP') ? new Date(Date.now() + waits + 1_000).toUTCString() : told;
      const before = await requestsSoFar(chain);
      await faults({ operation: '*', status: 429, retryAfter, count: 1 });
      await chain.sendToQueue([first]);
      await eventually(async () => (await requestsSoFar(chain)) > before, 'a call is throttled');
      const throttledBy = chain.clock.milliseconds();
      await chain.sendToQueue([second]);
      const settles = () => new Promise((resolve) => setTimeout(resolve, 50));
      await settles();
      while (chain.clock.milliseconds() < throttledBy + waits - 1_000) {
        expect(await requestsSoFar(chain)).toBe(before + 1);
        const left = throttledBy + waits - 1_000 - chain.clock.milliseconds();
        chain.advance(Math.max(1, Math.min(left, waits / 10, 40_000)));
        await settles();
      }
      expect(chain.outcomeOf(first) ?? chain.outcomeOf(second)).toBeUndefined();
      for (let step = 0; step < 100 && !(chain.outcomeOf(first) && chain.outcomeOf(second)); step++) {
        chain.advance(2_000);
        await settles();
      }
      for (const each of [first, second]) {
        expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
      }
      expect(deadLetters()).toBe(0);
    },
  );

  it.each([
    ['back', -3_600_000],
    ['back, a little less', -3_500_000],
    ['on', 3_600_000],
  ])(
    'a clock that is set %s by an hour delays nobody for an hour, and forgets nothing',
    async (way, inMs) => {
      const name = way.replace(/\W/g, '');
      const before = manufactured(`thermostat-jump-${name}`, {}, { minutesAgo: 200 });
      await faults({ operation: '*', status: 429, retryAfter: '1', count: 1 });
      await chain.sendToQueue([before]);
      await drained([before], 1_000, minute);
      expect(chain.outcomeOf(before)?.type).toBe('enrollment.succeeded');
      chain.advance(inMs);
      const after = event('device.held', before.subject, undefined, { minutesAgo: 190 });
      await chain.sendToQueue([after, before]);
      expect(await drained([after], 1_000, minute)).toBeLessThanOrEqual(10_000);
      expect((await statusOf(before))?.status).toBe('succeeded');
      const calls = await requestsSoFar(chain);
      await chain.sendToQueue([before]);
      await allQuiet(chain);
      expect(await requestsSoFar(chain)).toBe(calls);
      if (inMs < 0) {
        chain.advance(-inMs);
      }
    },
  );
});
