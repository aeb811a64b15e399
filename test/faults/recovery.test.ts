import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { manufactured } from '../support/events.ts';
import { proxyOfTables } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, tablesThrough } from '../support/proxy.ts';

const minute = 60_000;
const devices = 300;
const operationsPerMinute = 5;
/** Ten devices to an operation, and no minute with more operations than there are. */
const bulks = devices / 10;
const idealInMs = (bulks / operationsPerMinute) * minute;

describe('after an outage', () => {
  let chain: Chain;
  let tables: FaultyProxy;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0, env: { DPS_OPERATIONS_PER_MINUTE: String(operationsPerMinute) } });
    const { connectionString } = chain.stack.endpoints.tables;
    tables = await proxyOfTables(chain);
    chain.startInstance({ atOnce: 25, env: tablesThrough(tables, connectionString) });
  });
  afterAll(async () => {
    await chain?.close();
    await tables?.close();
  });

  /** Whatever has begun waits for its operation, or for later: this machine's speed is not what is asked for. */
  async function atRest(): Promise<void> {
    for (let looks = 0; looks < 3; looks = tables.underWay() === 0 ? looks + 1 : 0) {
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  }

  it('what has waited is done in 1.2 times the time that the quota takes, though each had been begun before', async () => {
    const { logged } = chain.instances[0]!;
    await chain.control('faults', 'PUT', [{ operation: '*', status: 503 }]);
    const born = Array.from({ length: devices }, (_, index) => manufactured(`thermostat-drained-${index}`));
    await chain.sendToQueue(born);
    const waiting = () =>
      new Set(logged.flatMap((line) => /event-waits \{"key":"(\w+)"/.exec(line)?.[1] ?? [])).size;
    await eventually(async () => {
      chain.advance(1_000);
      return waiting() === devices;
    }, 'each was begun, and waits');
    await chain.control('faults', 'PUT', []);
    const recoveredAt = chain.clock.milliseconds();
    while (!born.every((each) => chain.outcomeOf(each)) && passed() < 4 * idealInMs) {
      await atRest();
      chain.advance(1_000);
    }
    function passed() {
      return chain.clock.milliseconds() - recoveredAt;
    }
    const drainedInMs = passed();
    expect(born.filter((each) => chain.outcomeOf(each)?.type !== 'enrollment.succeeded')).toEqual([]);
    const { IndividualEnrollment_RunBulkOperation: written, IndividualEnrollment_Get: looks } = (
      await chain.stats()
    ).requests;
    expect((written?.['200'] ?? 0) / bulks, 'bulks are full').toBeLessThanOrEqual(1.1);
    // Where an answer was lost, a look five minutes later takes an operation of its own.
    const withLooksInMs = idealInMs + ((looks?.['200'] ?? 0) / operationsPerMinute) * minute;
    expect(drainedInMs / withLooksInMs).toBeLessThanOrEqual(1.2);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });
});
