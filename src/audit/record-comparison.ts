import { compareText } from '../events/compare-text.ts';
import { deleteRowKeys } from '../storage/delete-rows.ts';
import { type Change, odata, type Row, type Table, type Values } from '../storage/tables.ts';
import type { ListedRecord, RecordListing } from './record-listing.ts';

/** So many records of a listing are in memory at once; of a longer one the parts are compared one by one. */
const recordsPerPart = 60_000;
/** Of so many, one id is looked at to find where parts should end. */
const sampledOneOf = 50;
const changesPerTransaction = 100;
const transactionsAtOnce = 4;

/** What becomes of a stored row. `before` and `after`: undefined where there was, or will be, none. */
export interface RowChange {
  readonly id: string;
  readonly before: Row | undefined;
  readonly after: Values | undefined;
}

export interface Comparison {
  readonly table: Table;
  readonly partition: string;
  readonly part: IdRange;
  /** In the order of their ids, each once. */
  readonly listed: readonly ListedRecord[];
  /** The row of a record, given the one that is there. */
  readonly rowOf: (record: ListedRecord, before: Row | undefined) => Values;
  /** To be done before changes are written: a change that is repeated is found once more. */
  readonly onChanges?: (changes: readonly RowChange[]) => Promise<void>;
}

/** From `from`, and before `until`. */
export interface IdRange {
  readonly from: string;
  readonly until: string | undefined;
}

/** The first ids of the parts of a listing, but the first part's. */
export async function boundsOf(
  listing: RecordListing,
  runId: string,
  of: string,
  { chunks, records }: { readonly chunks: number; readonly records: number },
): Promise<readonly string[]> {
  const parts = Math.ceil(records / recordsPerPart);
  if (parts <= 1) {
    return [];
  }
  const sample: string[] = [];
  for await (const some of listing.records(runId, of, chunks)) {
    sample.push(...some.filter((_, index) => index % sampledOneOf === 0).map(({ id }) => id));
  }
  sample.sort(compareText);
  const bounds = Array.from({ length: parts - 1 }, (_, part) =>
    sample.at(Math.floor(((part + 1) * sample.length) / parts)),
  );
  return [...new Set(bounds.filter((id) => id !== undefined))];
}

export function partOf(bounds: readonly string[], part: number): IdRange {
  return { from: bounds[part - 1] ?? '', until: bounds[part] };
}

/** What a listing has of a range, by id; what was listed twice is as it was listed last. */
export async function listedIn(
  listing: RecordListing,
  runId: string,
  of: string,
  chunks: number,
  { from, until }: IdRange,
): Promise<readonly ListedRecord[]> {
  const found = new Map<string, ListedRecord>();
  for await (const some of listing.records(runId, of, chunks)) {
    for (const record of some) {
      if (record.id >= from && (until === undefined || record.id < until)) {
        found.set(record.id, record);
      }
    }
  }
  return [...found.values()].sort((left, right) => compareText(left.id, right.id));
}

/** Writes what differs, and deletes what is not listed: what stays as it was costs its part of a page that is read. */
export async function storeDifferences(comparison: Comparison): Promise<void> {
  const writer = new DifferenceWriter(comparison);
  const { table, partition, part, listed, rowOf } = comparison;
  const end = part.until === undefined ? '' : odata` and RowKey lt ${part.until}`;
  const filter = `${odata`PartitionKey eq ${partition} and RowKey ge ${part.from}`}${end}`;
  let next = 0;
  const insertUpTo = async (id: string | undefined) => {
    for (let record = listed[next]; record && (id === undefined || record.id < id); record = listed[next]) {
      await writer.add({ id: record.id, before: undefined, after: rowOf(record, undefined) });
      next++;
    }
  };
  for await (const row of table.rows(filter)) {
    await insertUpTo(row.rowKey);
    const record = listed[next];
    if (record?.id !== row.rowKey) {
      await writer.add({ id: row.rowKey, before: row, after: undefined });
      continue;
    }
    next++;
    const after = rowOf(record, row);
    if (!isSame(after, row.values)) {
      await writer.add({ id: row.rowKey, before: row, after });
    }
  }
  await insertUpTo(undefined);
  await writer.end();
}

class DifferenceWriter {
  readonly #comparison: Comparison;
  readonly #underWay = new Set<Promise<void>>();
  #waiting: RowChange[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(comparison: Comparison) {
    this.#comparison = comparison;
  }

  async add(change: RowChange): Promise<void> {
    this.#waiting.push(change);
    if (this.#waiting.length >= changesPerTransaction) {
      await this.#flush();
    }
  }

  async end(): Promise<void> {
    await this.#flush();
    await Promise.all(this.#underWay);
    this.#throwFailure();
  }

  async #flush(): Promise<void> {
    const changes = this.#waiting;
    this.#waiting = [];
    if (changes.length === 0) {
      return;
    }
    while (this.#underWay.size >= transactionsAtOnce) {
      await Promise.race(this.#underWay);
    }
    this.#throwFailure();
    const written: Promise<void> = this.#write(changes)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#underWay.delete(written));
    this.#underWay.add(written);
  }

  #throwFailure(): void {
    if (this.#failure) {
      throw this.#failure.error;
    }
  }

  async #write(changes: readonly RowChange[]): Promise<void> {
    const { table, partition, onChanges } = this.#comparison;
    await onChanges?.(changes);
    const kept = changes.flatMap(({ id, after }): Change[] =>
      after ? [{ kind: 'upsert', rowKey: id, values: after }] : [],
    );
    const gone = changes.filter(({ after }) => after === undefined).map(({ id }) => id);
    await (kept.length > 0 ? table.transact(partition, kept) : undefined);
    await deleteRowKeys(table, partition, gone);
  }
}

function isSame(after: Values, before: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(after);
  return names.length === Object.keys(before).length && names.every((name) => after[name] === before[name]);
}
