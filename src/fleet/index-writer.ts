import { type Change, StorageUnavailableError, type Table } from '../storage/tables.ts';

/** What a transaction of Table Storage takes. */
const mostChanges = 100;
/** More at once do not help: fuller ones do. */
const transactionsAtOnce = 12;

interface Item {
  readonly change: Change;
  done(etag: string): void;
  failed(error: unknown): void;
}

/**
 * Packs changes of many devices to one partition into transactions: while one is under way, what comes meanwhile waits
 * for the next. A busy writer so sends full ones, and a quiet one sends at once. Each caller gets the result of its own
 * change: what a transaction refuses as a whole is tried change by change.
 */
export class IndexWriter {
  readonly #table: Table;
  readonly #waiting = new Map<string, Item[]>();
  readonly #underWay = new Set<string>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** Resolves to the new etag. @throws RowConflictError, StorageUnavailableError */
  write(partition: string, change: Change): Promise<string> {
    return new Promise((done, failed) => {
      const items = this.#waiting.get(partition) ?? [];
      items.push({ change, done, failed });
      this.#waiting.set(partition, items);
      // What the same turn of the event loop still brings comes along.
      setImmediate(() => this.#wake());
    });
  }

  #wake(): void {
    for (const partition of this.#waiting.keys()) {
      if (this.#underWay.size >= transactionsAtOnce) {
        return;
      }
      if (this.#underWay.has(partition)) {
        continue;
      }
      this.#underWay.add(partition);
      void this.#send(partition, this.#take(partition)).finally(() => {
        this.#underWay.delete(partition);
        this.#wake();
      });
    }
  }

  /** As many as fit; a row is changed once a transaction. */
  #take(partition: string): Item[] {
    const items = this.#waiting.get(partition) ?? [];
    const taken = new Map<string, Item>();
    const left: Item[] = [];
    for (const item of items) {
      const fits = taken.size < mostChanges && !taken.has(item.change.rowKey);
      if (fits) {
        taken.set(item.change.rowKey, item);
      } else {
        left.push(item);
      }
    }
    if (left.length > 0) {
      this.#waiting.set(partition, left);
    } else {
      this.#waiting.delete(partition);
    }
    return [...taken.values()];
  }

  async #send(partition: string, items: readonly Item[]): Promise<void> {
    const [first] = items;
    if (items.length === 1 && first) {
      return this.#alone(partition, first);
    }
    try {
      const etags = await this.#table.transact(
        partition,
        items.map(({ change }) => change),
      );
      items.forEach((item, index) => {
        item.done(etags[index] ?? '*');
      });
    } catch (error) {
      if (error instanceof StorageUnavailableError) {
        for (const item of items) {
          item.failed(error);
        }
        return;
      }
      await Promise.all(items.map((item) => this.#alone(partition, item)));
    }
  }

  async #alone(partition: string, { change, done, failed }: Item): Promise<void> {
    try {
      done(await this.#apply(partition, change));
    } catch (error) {
      failed(error);
    }
  }

  async #apply(partition: string, change: Change): Promise<string> {
    const { rowKey } = change;
    switch (change.kind) {
      case 'insert':
        return this.#table.insert(partition, rowKey, change.values);
      case 'replace':
        return this.#table.replace(partition, rowKey, change.values, change.etag);
      case 'delete':
        await this.#table.delete(partition, rowKey, change.etag);
        return '*';
      default: {
        const [etag = '*'] = await this.#table.transact(partition, [change]);
        return etag;
      }
    }
  }
}
