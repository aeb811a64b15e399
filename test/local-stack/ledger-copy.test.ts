import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAzurite } from '../../src/local/stack/azurite.ts';
import { backUp, restore } from '../../src/storage/ledger-copy.ts';
import { tableNames } from '../../src/storage/table-names.ts';
import { type Row, Table, type TableAccess } from '../../src/storage/tables.ts';

type Azurite = Awaited<ReturnType<typeof startAzurite>>;

let folder: string;
let from: Azurite;
let to: Azurite;
const anyPort = { host: '127.0.0.1', ports: { blob: 0, queue: 0, table: 0 } };
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ledger-'));
  [from, to] = await Promise.all([startAzurite(anyPort), startAzurite(anyPort)]);
});
afterAll(async () => {
  await Promise.all([from.close(), to.close()]);
  rmSync(folder, { recursive: true });
});

const accessTo = ({ connectionString }: Azurite): TableAccess => ({ connectionString });

async function contentOf(azurite: Azurite, name: keyof typeof tableNames) {
  const rows: Omit<Row, 'etag'>[] = [];
  for await (const { partitionKey, rowKey, values } of new Table(tableNames[name], accessTo(azurite)).rows(
    '',
  )) {
    const { timestamp: _, ...kept } = values;
    rows.push({ partitionKey, rowKey, values: kept });
  }
  return rows;
}

it('A ledger that was backed up comes back row by row, and never over another', async () => {
  const devices = new Table(tableNames.devices, accessTo(from));
  const at = new Date('2026-11-23T06:00:00.123Z');
  for (let device = 0; device < 3; device++) {
    for (let row = 0; row < 130; row++) {
      await devices.insert(`device-${device}`, `event!${row}`, {
        text: 'ř'.repeat(2_000),
        count: row,
        at,
        isHeld: row % 2 === 0,
      });
    }
  }
  await new Table(tableNames.batches, accessTo(from)).insert('2026-w47', 'state', {
    json: '{"a":{"$date":1}}',
  });
  await new Table(tableNames.quota, accessTo(from)).insert('dps', 'tokens', { left: 7 });

  const file = path.join(folder, 'ledger.jsonl.gz');
  expect(await backUp(accessTo(from), file)).toBe(391);
  expect(gunzipSync(readFileSync(file)).toString().trim().split('\n')).toHaveLength(391);
  expect(await restore(accessTo(to), file)).toBe(391);
  for (const name of ['devices', 'batches'] as const) {
    expect(await contentOf(to, name)).toEqual(await contentOf(from, name));
  }
  expect(await contentOf(to, 'quota')).toEqual([]);

  await expect(restore(accessTo(to), file)).rejects.toThrow('The table devices is not empty.');
  await expect(restore(accessTo(from), path.join(folder, 'nothing.gz'))).rejects.toThrow('is not empty');
});
