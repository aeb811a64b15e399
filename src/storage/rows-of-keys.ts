import { odata, type Page, type Row, type Table } from './tables.ts';

/** Fewer than this a page of rows brings: then they are read one by one for a while. */
const fewOfPage = 8;
const oneByOne = 50;

export interface KeyedRows {
  readonly keyOf: (row: Row) => string;
  /** The rows from `first` to `last`, in the order of their keys. */
  readonly page: (first: string, last: string) => Promise<Page>;
  readonly one: (key: string) => Promise<Row | undefined>;
}

/** The rows of these keys, as far as they are there: by whole pages while those are dense with them, else by each key. */
export async function rowsOfKeys(keys: readonly string[], table: KeyedRows): Promise<Map<string, Row>> {
  let rest = [...new Set(keys)].sort();
  const wanted = new Set(rest);
  const found = new Map<string, Row>();
  let isDense = rest.length >= 20;
  while (rest.length > 0) {
    const before = rest.length;
    if (isDense) {
      const page = await table.page(rest[0] ?? '', rest.at(-1) ?? '');
      for (const row of page.rows.filter((each) => wanted.has(table.keyOf(each)))) {
        found.set(table.keyOf(row), row);
      }
      const end = page.rows.at(-1);
      rest = page.continuation === undefined ? [] : restBehind(rest, end && table.keyOf(end));
    } else {
      const some = rest.slice(0, oneByOne);
      for (const row of await Promise.all(some.map((key) => table.one(key)))) {
        if (row) {
          found.set(table.keyOf(row), row);
        }
      }
      rest = rest.slice(oneByOne);
    }
    isDense = rest.length >= 20 && (!isDense || before - rest.length >= fewOfPage);
  }
  return found;
}

/** The same, of the rows of one partition. */
export function rowsOfPartition(
  table: Table,
  partition: string,
  rowKeys: readonly string[],
): Promise<Map<string, Row>> {
  return rowsOfKeys(rowKeys, {
    keyOf: ({ rowKey }) => rowKey,
    page: (first, last) =>
      table.page(odata`PartitionKey eq ${partition} and RowKey ge ${first} and RowKey le ${last}`),
    one: (rowKey) => table.get(partition, rowKey),
  });
}

/** A page may be empty though more follow; then nothing is known of any key. */
function restBehind(keys: string[], end: string | undefined): string[] {
  return end === undefined ? keys : keys.filter((key) => key > end);
}
