/**
 * The fleet's index, a room of its own between the ledger and the audit, which write it, and http, which reads it. All of
 * it is derived: from the `state` of a device or batch, and from what the newest audit saw. So it may lag, it may be
 * thrown away, and the audit mends what is missing or stale.
 *
 * One row a list that an entry is in, each with all that a list shows, so that a page is one query, whatever the size of
 * the fleet. The row in `all` holds the entry itself, and is written last, on condition of its etag: whoever stops
 * midway, or loses a race, leaves a row there from which the next writer finds what is to be mended.
 */
import type { EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import type { SubjectRef, SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { odata, type Row, RowConflictError, type Table } from '../storage/tables.ts';
import {
  type AuditFacts,
  type FleetEntry,
  isOlder,
  type LedgerFacts,
  ledgerFacts,
  notInLedger,
} from './fleet-entry.ts';
import { indexPartition, indexRowKey } from './index-keys.ts';
import { entryOf, type IndexRow, indexRowsOf, mainRowOf } from './index-rows.ts';
import { IndexWriter } from './index-writer.ts';

const conflictsToLose = 20;

/** An entry as it was read, with what it takes to write it back. */
export interface IndexedEntry {
  readonly entry: FleetEntry;
  readonly etag: string;
}

/** What is to become of an entry; undefined: it stays as it is. `gone`: nobody knows it any more. */
type Decision = FleetEntry | 'gone' | undefined;

export class FleetIndex {
  readonly #table: Table;
  readonly #profiles: EnrollmentProfiles;
  readonly #writer: IndexWriter;

  constructor(table: Table, profiles: EnrollmentProfiles) {
    this.#table = table;
    this.#profiles = profiles;
    this.#writer = new IndexWriter(table);
  }

  /**
   * To be called when a state was written, before the message that changed it is completed. Any order and any number of
   * calls end in the newest state. `before` only spares a read: undefined, where there was no state.
   */
  async update(subject: SubjectRef, before: SubjectState | undefined, after: SubjectState): Promise<void> {
    const ledger = ledgerFacts(subject, after, this.#profiles);
    // What was never applied was, most often, never listed.
    const isNew = before === undefined || (!before.waiting && before.pending.length === before.revision);
    await this.#change(subject, (known) => withLedger(subject, known, ledger), isNew ? 'missing' : 'unread');
  }

  /** What an audit saw of a device or batch. `known` as `entriesBetween` read it. */
  async audited(
    subject: SubjectRef,
    state: SubjectState | undefined,
    audit: AuditFacts,
    known: IndexedEntry | 'missing' | 'unread',
  ): Promise<FleetEntry> {
    const { kind, id } = subject;
    const ledger = state ? ledgerFacts(subject, state, this.#profiles) : notInLedger;
    const seen = (entry: FleetEntry | undefined): FleetEntry => ({
      ...(withLedger(subject, entry, ledger) ?? entry ?? { kind, id, ledger }),
      audit,
    });
    let written = seen(undefined);
    await this.#change(
      subject,
      (entry) => {
        written = seen(entry);
        return written;
      },
      known,
    );
    return written;
  }

  /** Nothing is left of what no event has named. */
  async forget(subject: SubjectRef): Promise<void> {
    await this.#change(
      subject,
      (entry) => (entry && entry.ledger.revision < 0 ? 'gone' : undefined),
      'unread',
    );
  }

  /** Its state was removed, and no event has made another since. */
  async removed(subject: SubjectRef): Promise<void> {
    await this.#change(
      subject,
      (entry) => (entry && entry.ledger.revision <= 0 ? 'gone' : undefined),
      'unread',
    );
  }

  async read({ kind, id }: SubjectRef): Promise<FleetEntry | undefined> {
    const row = await this.#table.get(indexPartition(kind, 'all'), indexRowKey(id));
    return row && entryOf(kind, row);
  }

  /** With what it takes to write it back. */
  readIndexed(subject: SubjectRef): Promise<IndexedEntry | undefined> {
    return this.#read(subject);
  }

  /** Entries by id, of a page of the ledger: both are in one order. */
  async entriesBetween(
    kind: SubjectKind,
    first: string,
    last: string,
  ): Promise<ReadonlyMap<string, IndexedEntry>> {
    const filter = odata`PartitionKey eq ${indexPartition(kind, 'all')} and RowKey ge ${indexRowKey(first)} and RowKey le ${indexRowKey(last)}`;
    const found = new Map<string, IndexedEntry>();
    for await (const row of this.#table.rows(filter)) {
      const indexed = indexedOf(kind, row);
      found.set(indexed.entry.id, indexed);
    }
    return found;
  }

  async #change(
    subject: SubjectRef,
    decide: (known: FleetEntry | undefined) => Decision,
    given: IndexedEntry | 'missing' | 'unread',
  ): Promise<void> {
    let known = given === 'unread' ? await this.#read(subject) : given === 'missing' ? undefined : given;
    // Rows that a lost race may have left behind.
    const strayed = new Map<string, IndexRow>();
    for (let lost = 0; ; lost++) {
      const next = decide(known?.entry) ?? (strayed.size > 0 ? known?.entry : undefined);
      if (next === undefined) {
        return;
      }
      try {
        return await this.#write(known, next, strayed);
      } catch (error) {
        if (!(error instanceof RowConflictError) || lost >= conflictsToLose) {
          throw error;
        }
        known = await this.#read(subject);
      }
    }
  }

  async #write(
    known: IndexedEntry | undefined,
    next: FleetEntry | 'gone',
    strayed: Map<string, IndexRow>,
  ): Promise<void> {
    const before = known ? indexRowsOf(known.entry) : [];
    const after = next === 'gone' ? [] : indexRowsOf(next);
    const main = next === 'gone' ? undefined : mainRowOf(next);
    if (known && main && strayed.size === 0 && sameValues(mainRowOf(known.entry), main)) {
      return;
    }
    const wanted = new Map(after.map((row) => [placeOf(row), row]));
    const unchanged = new Set(
      before
        .filter((row) => !strayed.has(placeOf(row)) && sameValues(row, wanted.get(placeOf(row))))
        .map(placeOf),
    );
    const leaving = [...before, ...strayed.values()].filter((row) => !wanted.has(placeOf(row)));
    const written = after.filter((row) => !unchanged.has(placeOf(row)));
    for (const row of written) {
      strayed.set(placeOf(row), row);
    }
    await Promise.all([
      ...written.map(({ partition, rowKey, values }) =>
        this.#writer.write(partition, { kind: 'upsert', rowKey, values }),
      ),
      ...[...new Map(leaving.map((row) => [placeOf(row), row])).values()].map(({ partition, rowKey }) =>
        this.#writer.write(partition, { kind: 'delete', rowKey, etag: '*' }),
      ),
    ]);
    await this.#writeMain(known, main);
  }

  async #writeMain(known: IndexedEntry | undefined, main: IndexRow | undefined): Promise<void> {
    if (main) {
      const { partition, rowKey, values } = main;
      await this.#writer.write(
        partition,
        known ? { kind: 'replace', rowKey, values, etag: known.etag } : { kind: 'insert', rowKey, values },
      );
    } else if (known) {
      const { partition, rowKey } = mainRowOf(known.entry);
      await this.#writer.write(partition, { kind: 'delete', rowKey, etag: known.etag });
    }
  }

  async #read({ kind, id }: SubjectRef): Promise<IndexedEntry | undefined> {
    const row = await this.#table.get(indexPartition(kind, 'all'), indexRowKey(id));
    return row && indexedOf(kind, row);
  }
}

function withLedger(
  { kind, id }: SubjectRef,
  known: FleetEntry | undefined,
  ledger: LedgerFacts,
): FleetEntry | undefined {
  if (!known) {
    return { kind, id, ledger };
  }
  if (isOlder(ledger, known.ledger)) {
    return undefined;
  }
  // The ledger forgets older definitions: the first one's time is kept here.
  const first = known.ledger.definedAt;
  const definedAt = first !== undefined && first < (ledger.definedAt ?? first) ? { definedAt: first } : {};
  return { ...known, ledger: { ...ledger, ...definedAt } };
}

function indexedOf(kind: SubjectKind, row: Row): IndexedEntry {
  return { entry: entryOf(kind, row), etag: row.etag };
}

function placeOf({ partition, rowKey }: IndexRow): string {
  return `${partition}\n${rowKey}`;
}

function sameValues(left: IndexRow, right: IndexRow | undefined): boolean {
  return right !== undefined && JSON.stringify(left.values) === JSON.stringify(right.values);
}
