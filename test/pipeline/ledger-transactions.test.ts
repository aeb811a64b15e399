import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';
import { proxyOfTables } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, tablesThrough } from '../support/proxy.ts';
import { allQuiet } from '../support/queue.ts';

const transaction = 'POST /devstoreaccount1/$batch';
const keys = {
  type: 'symmetricKey',
  primaryKey: Buffer.alloc(32, 1).toString('base64'),
  secondaryKey: Buffer.alloc(32, 2).toString('base64'),
};

describe('what the ledger costs', () => {
  /** All requests that concern the table of devices. */
  const seen: string[] = [];
  let chain: Chain;
  let proxy: FaultyProxy;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfTables(chain, {
      fate: ({ method, path, body }) => {
        if (/\/devices\b/.test(`${path} ${body}`)) {
          seen.push(`${method} ${path}`);
        }
        return 'pass';
      },
    });
    chain.startInstance({ env: tablesThrough(proxy, chain.stack.endpoints.tables.connectionString) });
  });
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
  });

  it.each([
    ['generated keys', 'thermostat-costs', {}],
    ['keys of its own', 'thermostat-keys', { attestation: keys }],
  ])('a new device with %s takes two transactions', async (_, id, data) => {
    await chain.settle(manufactured(`${id}-first`, data));
    await allQuiet(chain);
    seen.length = 0;
    const made = manufactured(id, data);
    await chain.settle(made);
    await allQuiet(chain);
    expect(chain.outcomeOf(made)?.type).toBe('enrollment.succeeded');
    expect(seen.filter((each) => each === transaction)).toHaveLength(2);
    // It is read between the two, unless its operation was there at once.
    const others = seen.filter((each) => each !== transaction);
    expect(others.filter((each) => !each.startsWith('GET'))).toEqual([]);
    expect(others.length).toBeLessThanOrEqual(1);
  });

  it('a flood of one device takes few requests an event, though its list has no room for most', async () => {
    const id = 'thermostat-flood-costs';
    await chain.settle(manufactured(id, {}, { minutesAgo: 60 }));
    await allQuiet(chain);
    seen.length = 0;
    const events = Array.from({ length: 400 }, (_, index) =>
      event(index % 2 ? 'device.held' : 'device.released', id, undefined, { minutesAgo: 50 - index / 100 }),
    );
    await chain.sendToQueue(events);
    await eventually(
      async () => {
        chain.advance(250);
        return events.every((each) => chain.outcomeOf(each));
      },
      'all end',
      60_000,
    );
    await allQuiet(chain);
    expect(seen.length / events.length).toBeLessThan(5);
  });
});
