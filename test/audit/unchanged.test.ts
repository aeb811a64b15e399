import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { individuals } from '../../src/audit/registration-snapshot.ts';
import type { TableName } from '../../src/storage/table-names.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, switchOn } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';

describe('an audit of what is as it was', () => {
  let chain: Chain;
  let app: AppInstance;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance();
    await chain.settle(
      event('batch.started', 'beacons', { product: 'beacon-b' }, { minutesAgo: 30 }),
      ...['1', '2', '3'].map((name) =>
        manufactured(`beacon-${name}`, { product: 'beacon-b', batch: 'beacons' }, { minutesAgo: 20 }),
      ),
      manufactured('thermostat-1', {}, { minutesAgo: 20 }),
    );
    await chain.control('seed', 'POST', { groups: 2, registrationsPerGroup: 150 });
    await switchOn(chain, 'beacon-1', 'beacons');
    await switchOn(chain, 'beacon-2', 'beacons');
  });
  afterAll(() => chain?.close());

  async function etags(table: TableName): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for await (const { partitionKey, rowKey, etag } of app.services.table(table).rows('')) {
      // An individual enrollment's state is asked for one by one, and when that was is noted.
      if (partitionKey !== individuals) {
        found.set(`${partitionKey} ${rowKey}`, etag);
      }
    }
    return found;
  }

  it('writes no row of a registration, a certificate or the index anew; of what changed, only that', async () => {
    await audit(app);
    await audit(app);
    const before = { states: await etags('registrationStates'), index: await etags('fleetIndex') };
    await audit(app);
    expect(await etags('registrationStates')).toEqual(before.states);
    expect(await etags('fleetIndex')).toEqual(before.index);

    await switchOn(chain, 'beacon-3', 'beacons');
    await audit(app);
    const changed = [...(await etags('registrationStates'))].filter(
      ([row, etag]) => before.states.get(row) !== etag,
    );
    expect(changed.map(([row]) => row)).toEqual(['g!beacons beacon-3']);
  }, 60_000);
});
