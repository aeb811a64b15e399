import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { createdBy } from '../support/created-by.ts';
import { event, manufactured, type TestEvent } from '../support/events.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, type SeenRequest, throughProxy } from '../support/proxy.ts';
import { allQuiet, endedInTurnedTime } from '../support/queue.ts';

const minute = 60_000;

describe('a DPS instance that has no room for more', () => {
  let chain: Chain;
  let proxy: FaultyProxy;
  let isFull = false;
  /** Creations of individual enrollments that were refused for lack of room. */
  let refused = 0;

  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfDps(chain, {
      answer: (request) => {
        const ids = isFull ? createdBy(request) : [];
        if (ids.length === 0) {
          return undefined;
        }
        refused++;
        return answerOfFull(request, ids);
      },
    });
    chain.startInstance({ env: { DPS_CONNECTION_STRING: throughProxy(proxy) } });
  });
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
  });

  const record = (sent: TestEvent) => chain.recordOf(sent);
  const logged = (what: string) => chain.instances[0]!.logged.filter((line) => line.includes(what)).length;

  async function allWait(events: readonly TestEvent[]): Promise<void> {
    await eventually(async () => {
      const records = await Promise.all(events.map(record));
      return records.every((each) => each?.status === 'retrying');
    }, 'all wait');
  }

  async function drained(events: readonly TestEvent[]): Promise<void> {
    await endedInTurnedTime(chain, events, { stepInMs: 10_000, steps: 100 });
    for (const each of events) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
    }
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  }

  it('of groups keeps no device waiting: batches wait until there is room, and the log says so', async () => {
    await chain.control('seed', 'POST', { groups: 100, registrationsPerGroup: 0, individualEnrollments: 0 });
    const batches = Array.from({ length: 8 }, (_, index) =>
      event('batch.started', `batch-full-${index}`, { product: 'beacon-b2' }),
    );
    await chain.sendToQueue(batches);
    await allWait(batches);
    expect(logged('dps-unavailable')).toBe(1);
    const devices = Array.from({ length: 5 }, (_, index) => manufactured(`thermostat-beside-${index}`));
    await chain.settle(...devices);
    await chain.settle(event('device.held', devices[0]!.subject, undefined, { minutesAgo: 1 }));
    expect(logged('dps-unavailable')).toBe(1);
    const seeded: string[] = [];
    for await (const { enrollmentGroupId } of chain.dps.enrollmentGroups.query()) {
      seeded.push(enrollmentGroupId);
    }
    for (const id of seeded.slice(0, batches.length)) {
      await chain.dps.enrollmentGroups.delete(id);
    }
    await drained(batches);
    expect(logged('dps-available')).toBe(1);
  });

  it('of individual enrollments still takes changes, holds and deletions, and is asked for room twice a minute', async () => {
    const there = manufactured('thermostat-there', {}, { minutesAgo: 60 });
    await chain.settle(there);
    isFull = true;
    const born = Array.from({ length: 30 }, (_, index) => manufactured(`thermostat-none-${index}`));
    await chain.sendToQueue(born);
    await allWait(born);
    await chain.settle(
      event('device.changed', there.subject, { product: 'thermostat-g2', tags: { a: 1 } }, { minutesAgo: 3 }),
      event('device.held', there.subject, undefined, { minutesAgo: 2 }),
    );
    expect(await chain.dps.individualEnrollments.get(there.subject)).toMatchObject({
      provisioningStatus: 'disabled',
      initialTwin: { tags: { a: 1 } },
    });
    // Until five have failed in a row, each is asked for on its own account.
    for (let step = 0; step < 12 && logged('dps-unavailable') < 2; step++) {
      chain.advance(10_000);
      await allQuiet(chain);
    }
    for (let step = 0; step < 10; step++) {
      const before = refused;
      chain.advance(minute);
      await allQuiet(chain);
      expect(refused - before).toBeLessThanOrEqual(2);
    }
    await chain.settle(event('device.scrapped', there.subject, undefined, { minutesAgo: 1 }));
    isFull = false;
    await drained(born);
  });
});

function answerOfFull({ method }: SeenRequest, ids: readonly string[]): { status: number; body: string } {
  const errorCode = 403_001;
  if (method === 'PUT') {
    return { status: 403, body: JSON.stringify({ errorCode, message: 'Full.' }) };
  }
  const errors = ids.map((registrationId) => ({ registrationId, errorCode, errorStatus: 'Full.' }));
  return { status: 200, body: JSON.stringify({ isSuccessful: false, errors }) };
}
