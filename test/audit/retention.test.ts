import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { groupPartition } from '../../src/audit/registration-snapshot.ts';
import type { TableName } from '../../src/storage/table-names.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, switchOn } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';

const dayInMs = 86_400_000;

describe('what is older than EVENT_RETENTION_DAYS', () => {
  let chain: Chain;
  let app: AppInstance;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance({ env: { EVENT_RETENTION_DAYS: '10' } });
  });
  afterAll(() => chain?.close());

  async function rows(table: TableName, filter = ''): Promise<string[]> {
    const found: string[] = [];
    for await (const { partitionKey, rowKey } of app.services.table(table).rows(filter)) {
      found.push(`${partitionKey} ${rowKey}`);
    }
    return found;
  }

  const eventRows = async () => (await rows('devices')).filter((row) => row.includes('event!'));
  const resolved = () => rows('auditFindings', "PartitionKey eq 'r!' or PartitionKey eq 'f!'");

  it('goes with an audit: events, rejected ones, runs, findings that were resolved, records of groups that are gone', async () => {
    await chain.settle(
      manufactured('thermostat-1'),
      event('device.manufactured', 'toaster-1', { product: 'toaster-x' }),
      event('batch.started', 'beacons', { product: 'beacon-b' }),
    );
    await switchOn(chain, 'beacon-stranger', 'beacons');
    const first = await audit(app);
    expect(first.subjects('registered-but-unknown')).toEqual(['beacon-stranger']);
    await chain.dps.enrollmentGroups.delete('beacons');
    expect((await audit(app)).subjects('registered-but-unknown')).toEqual([]);
    expect(await resolved()).toHaveLength(2);
    expect(await eventRows()).toHaveLength(2);
    expect(await rows('rejected')).not.toEqual([]);
    const ofGroup = `PartitionKey eq '${groupPartition('beacons')}'`;
    expect(await rows('registrationStates', ofGroup)).toHaveLength(1);

    chain.advance(11 * dayInMs);
    const { run } = await audit(app);
    expect(await eventRows()).toEqual([]);
    expect(await rows('rejected')).toEqual([]);
    expect(await resolved()).toEqual([]);
    const { runs } = await app.services.auditStore.list(10);
    expect(runs.map(({ id }) => id)).toEqual([run.id]);
    // What should be stays, and so do findings that are open.
    expect((await app.services.ledger.readState({ kind: 'device', id: 'thermostat-1' }))?.revision).toBe(1);
    expect((await audit(app)).subjects('enrollment-missing')).toEqual(['beacons']);
    expect(await rows('registrationStates', ofGroup)).toEqual([]);
  });

  it('is nothing that a run leaves behind', async () => {
    const { run } = await audit(app);
    expect(await rows('registrationStates', "PartitionKey ge 'l!' and PartitionKey lt 'm'")).toEqual([]);
    expect(await rows('auditRuns', "RowKey ge 'worker!' and RowKey lt 'x'")).toEqual([]);
    expect(run.status).toBe('finished');
  });
});
