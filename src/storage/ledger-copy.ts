import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';

import { type TableName, tableNames } from './table-names.ts';
import { type Change, Table, type TableAccess, type Values } from './tables.ts';

/** All but what an audit makes anew, and the tokens of the quota, which are of the moment. */
export const copiedTables = (Object.keys(tableNames) as TableName[]).filter(
  (name) => name !== 'quota' && name !== 'registrationStates',
);

interface CopiedRow {
  readonly table: string;
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly values: Record<string, unknown>;
}

/** Azure's limits for a transaction: 100 rows, 4 MiB. */
const rowsAtOnce = 100;
const charactersAtOnce = 1_000_000;

/** Writes every row into a gzipped file, a JSON line each. Resolves to how many there are. */
export async function backUp(access: TableAccess, file: string): Promise<number> {
  let count = 0;
  async function* lines() {
    for (const name of copiedTables) {
      for await (const { partitionKey, rowKey, values } of tableOf(name, access).rows('')) {
        count++;
        const row: CopiedRow = { table: tableNames[name], partitionKey, rowKey, values: writable(values) };
        yield `${JSON.stringify(row)}\n`;
      }
    }
  }
  await pipeline(Readable.from(lines()), createGzip(), createWriteStream(file, { mode: 0o600 }));
  return count;
}

/**
 * Writes the rows of such a file into tables that have none. Resolves to how many there were.
 * @throws Error if a table has rows: two histories would be mixed.
 */
export async function restore(access: TableAccess, file: string): Promise<number> {
  for (const name of copiedTables) {
    const { rows } = await tableOf(name, access).page('', { size: 1 });
    if (rows.length > 0) {
      throw new Error(
        `The table ${tableNames[name]} is not empty. Restore into a new storage account, or delete the tables first.`,
      );
    }
  }
  const tables = new Map(copiedTables.map((name) => [tableNames[name] as string, tableOf(name, access)]));
  let count = 0;
  let waiting: CopiedRow[] = [];
  let characters = 0;
  const flush = async () => {
    const [first] = waiting;
    if (first === undefined) {
      return;
    }
    const changes = waiting.map(
      ({ rowKey, values }): Change => ({ kind: 'insert', rowKey, values: readable(values) }),
    );
    await tables.get(first.table)?.transact(first.partitionKey, changes);
    count += waiting.length;
    waiting = [];
    characters = 0;
  };
  const input = createReadStream(file);
  const unpacked = input.pipe(createGunzip());
  input.on('error', (error) => unpacked.destroy(error));
  for await (const line of createInterface({ input: unpacked })) {
    const row = JSON.parse(line) as CopiedRow;
    if (!tables.has(row.table)) {
      throw new Error(`${file} has rows of a table ${row.table}, which is not known.`);
    }
    const [first] = waiting;
    const isSame = first?.table === row.table && first.partitionKey === row.partitionKey;
    if (!isSame || waiting.length === rowsAtOnce || characters + line.length > charactersAtOnce) {
      await flush();
    }
    waiting.push(row);
    characters += line.length;
  }
  await flush();
  return count;
}

function tableOf(name: TableName, access: TableAccess): Table {
  return new Table(tableNames[name], access);
}

/** JSON has no dates: they go as an object that no value of ours looks like. */
function writable(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      value instanceof Date ? { $date: value.toISOString() } : value,
    ]),
  );
}

function readable(values: Readonly<Record<string, unknown>>): Values {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const { $date } = (typeof value === 'object' && value !== null ? value : {}) as { $date?: string };
      return [name, $date === undefined ? (value as string | number | boolean) : new Date($date)];
    }),
  );
}
