import type { LedgerTable } from '../../src/enrollment/ledger/ledger.ts';
import {
  type Change,
  type Page,
  type Row,
  RowConflictError,
  StorageUnavailableError,
  type Values,
} from '../../src/storage/tables.ts';
import { type Scheduler, Violation } from './scheduler.ts';

type Stored = { readonly etag: string; readonly values: Values };

/** The rows of one table, as Table Storage keeps them: whole transactions, by etag. */
export class StoredRows {
  readonly partitions = new Map<string, Map<string, Stored>>();
  #etags = 0;

  get(partitionKey: string, rowKey: string): Row | undefined {
    const stored = this.partitions.get(partitionKey)?.get(rowKey);
    return stored && { partitionKey, rowKey, etag: stored.etag, values: { ...stored.values } };
  }

  rowsOf(partitionKey: string): Row[] {
    const rows = this.partitions.get(partitionKey) ?? new Map<string, Stored>();
    return [...rows].map(([rowKey, stored]) => ({
      partitionKey,
      rowKey,
      etag: stored.etag,
      values: { ...stored.values },
    }));
  }

  transact(partitionKey: string, changes: readonly Change[]): string[] {
    if (changes.length > 100) {
      throw new Violation(`a transaction of ${changes.length} rows`);
    }
    const rows = this.partitions.get(partitionKey) ?? new Map<string, Stored>();
    this.partitions.set(partitionKey, rows);
    for (const change of changes) {
      const known = rows.get(change.rowKey);
      const fits =
        change.kind === 'insert'
          ? !known
          : change.kind === 'replace' || change.kind === 'delete'
            ? known?.etag === change.etag
            : true;
      if (!fits) {
        throw new RowConflictError(`row ${change.rowKey}`);
      }
    }
    return changes.map((change) => {
      const etag = `t${++this.#etags}`;
      if (change.kind === 'delete') {
        rows.delete(change.rowKey);
      } else {
        rows.set(change.rowKey, { etag, values: { ...change.values } });
      }
      return etag;
    });
  }
}

/** The table as one instance sees it. */
export class SimulatedTable implements LedgerTable {
  readonly #scheduler: Scheduler;
  readonly #owner: string;
  readonly #rows: StoredRows;

  constructor(scheduler: Scheduler, owner: string, rows: StoredRows) {
    this.#scheduler = scheduler;
    this.#owner = owner;
    this.#rows = rows;
  }

  get(partitionKey: string, rowKey: string): Promise<Row | undefined> {
    const name = rowKey.startsWith('event!') ? 'reads an event' : 'reads the state';
    return this.#scheduler.call(this.#owner, name, () => this.#rows.get(partitionKey, rowKey));
  }

  transact(partitionKey: string, changes: readonly Change[]): Promise<string[]> {
    const carryOut = () => this.#rows.transact(partitionKey, changes);
    return this.#scheduler.call(this.#owner, 'writes the ledger', carryOut, ({ reject }) => [
      {
        name: 'done, answer lost',
        happen: () => {
          try {
            carryOut();
            reject(new StorageUnavailableError('no answer'));
          } catch (error) {
            reject(error);
          }
        },
      },
      { name: 'not done', happen: () => reject(new StorageUnavailableError('no answer')) },
    ]);
  }

  async insert(partitionKey: string, rowKey: string, values: Values): Promise<string> {
    const [etag = ''] = await this.transact(partitionKey, [{ kind: 'insert', rowKey, values }]);
    return etag;
  }

  async delete(): Promise<void> {}

  async page(): Promise<Page> {
    return { rows: [] };
  }

  async *rows(): AsyncGenerator<Row> {}
}
