import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Chain } from '../support/chain.ts';
import { manufactured } from '../support/events.ts';
import { FaultyProxy, originOfTables, tablesThrough } from '../support/proxy.ts';
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
    proxy = await FaultyProxy.start({
      target: originOfTables(chain.stack.endpoints.tables.connectionString),
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
    ['generated keys takes two transactions, and no reading', 'thermostat-costs', {}, 0],
    ['keys of its own takes two transactions, and is read once', 'thermostat-keys', { attestation: keys }, 1],
  ])('a new device with %s', async (_, id, data, reads) => {
    await chain.settle(manufactured(`${id}-first`, data));
    await allQuiet(chain);
    seen.length = 0;
    const made = manufactured(id, data);
    await chain.settle(made);
    await allQuiet(chain);
    expect(chain.outcomeOf(made)?.type).toBe('enrollment.succeeded');
    expect(seen.filter((each) => each === transaction)).toHaveLength(2);
    expect(seen.filter((each) => each.startsWith('GET'))).toHaveLength(reads);
    expect(seen).toHaveLength(2 + reads);
  });
});
