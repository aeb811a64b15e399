import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  boundsOf,
  listedIn,
  partOf,
  type RowChange,
  storeDifferences,
} from '../../src/audit/record-comparison.ts';
import { type ListedRecord, RecordListing } from '../../src/audit/record-listing.ts';
import { type Azurite, startAzurite } from '../../src/local/stack/azurite.ts';
import { rowsOfKeys } from '../../src/storage/rows-of-keys.ts';
import { odata, type Row, Table } from '../../src/storage/tables.ts';

let azurite: Azurite;
let table: Table;
let listings = 0;

beforeAll(async () => {
  azurite = await startAzurite({ host: '127.0.0.1', ports: { blob: 0, queue: 0, table: 0 } });
  table = new Table('records', { connectionString: azurite.connectionString });
});
afterAll(() => azurite?.close());

async function stored(partition: string): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for await (const row of table.rows(odata`PartitionKey eq ${partition}`)) {
    rows.set(row.rowKey, row);
  }
  return rows;
}

/** What DPS lists, page by page and in any order, compared part by part; resolves to what was written. */
async function compare(
  partition: string,
  records: readonly ListedRecord[],
  bounds: readonly string[],
): Promise<RowChange[]> {
  const listing = new RecordListing(table);
  const runId = `run-${++listings}`;
  const half = Math.ceil(records.length / 2);
  let chunks = await listing.append(runId, partition, 0, records.slice(0, half));
  // A step that is repeated writes over what it had written.
  await listing.append(runId, partition, chunks, records.slice(0, 3));
  chunks = await listing.append(runId, partition, chunks, records.slice(half));
  const changes: RowChange[] = [];
  for (let part = 0; part <= bounds.length; part++) {
    const range = partOf(bounds, part);
    await storeDifferences({
      ...{ table, partition, part: range },
      listed: await listedIn(listing, runId, partition, chunks, range),
      rowOf: ({ values }) => values,
      onChanges: async (some) => {
        changes.push(...some);
      },
    });
  }
  return changes;
}

const id = fc.stringMatching(/^[a-d0-3]{1,3}$/);
const record = fc.record({ id, values: fc.record({ record: fc.constantFrom('a', 'b', 'c') }) });
const listed = fc.uniqueArray(record, { selector: (each) => each.id, maxLength: 40 });

describe('records as DPS lists them, beside those that are stored', () => {
  it('end as they are listed, whatever was there, in whatever parts; and what is the same is not written', async () => {
    let cases = 0;
    await fc.assert(
      fc.asyncProperty(listed, listed, fc.uniqueArray(id, { maxLength: 3 }), async (before, after, some) => {
        const partition = `p${++cases}`;
        const bounds = [...some].sort();
        await compare(partition, before, []);
        const first = await stored(partition);
        const changes = await compare(partition, after, bounds);
        const now = await stored(partition);
        expect([...now].map(([key, { values }]) => `${key} ${values.record}`).sort()).toEqual(
          after.map(({ id: key, values }) => `${key} ${values.record}`).sort(),
        );
        const same = after.filter(({ id: key, values }) => first.get(key)?.values.record === values.record);
        for (const { id: key } of same) {
          expect(now.get(key)?.etag).toBe(first.get(key)?.etag);
          expect(changes.map((change) => change.id)).not.toContain(key);
        }
        expect(await compare(partition, after, bounds)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it('are divided by the ids of a sample, so that no part is much larger than another', async () => {
    const listing = new RecordListing(table);
    const records = Array.from({ length: 130_000 }, (_, index) => ({
      id: `d-${(index * 7_919) % 130_000}`,
      values: {},
    }));
    const chunks = await listing.append('large', 'group', 0, records);
    const bounds = await boundsOf(listing, 'large', 'group', { chunks, records: records.length });
    expect(bounds).toHaveLength(2);
    const sizes = await Promise.all(
      [0, 1, 2].map(
        async (part) => (await listedIn(listing, 'large', 'group', chunks, partOf(bounds, part))).length,
      ),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(130_000);
    expect(Math.max(...sizes)).toBeLessThan(60_000);
    await listing.clear();
    expect(await listedIn(listing, 'large', 'group', chunks, partOf([], 0))).toEqual([]);
  }, 60_000);
});

describe('rows of some keys', () => {
  it('are those that are there, whether they are read by pages or one by one', async () => {
    const all = Array.from({ length: 60 }, (_, index) => `key-${String(index).padStart(4, '0')}`);
    await table.transact(
      'keys',
      all.map((rowKey) => ({ kind: 'upsert', rowKey, values: {} })),
    );
    const key = fc.integer({ min: 0, max: 90 }).map((index) => `key-${String(index).padStart(4, '0')}`);
    await fc.assert(
      fc.asyncProperty(
        fc.array(key, { maxLength: 70 }),
        fc.integer({ min: 1, max: 30 }),
        async (keys, size) => {
          const found = await rowsOfKeys(keys, {
            keyOf: ({ rowKey }) => rowKey,
            page: (first, last) =>
              table.page(odata`PartitionKey eq ${'keys'} and RowKey ge ${first} and RowKey le ${last}`, {
                size,
              }),
            one: (rowKey) => table.get('keys', rowKey),
          });
          const there = [...new Set(keys)].filter((each) => all.includes(each));
          expect([...found.keys()].sort()).toEqual(there.sort());
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);
});
