import { compareText } from '../../events/compare-text.ts';
import { type EventKey, lowerCase, sha256 } from '../../events/event-identity.ts';
import type { SubjectKind } from '../../events/manufacturing-event.ts';
import { isDpsId } from '../../events/read-event.ts';
import { deleteRowKeys } from '../../storage/delete-rows.ts';
import { joinText, splitText } from '../../storage/long-text.ts';
import { rowsOfKeys } from '../../storage/rows-of-keys.ts';
import {
  type Change,
  odata,
  type Page,
  type Row,
  RowConflictError,
  StorageUnavailableError,
  type Table,
  type Values,
} from '../../storage/tables.ts';
import {
  type EventRecord,
  emptyState,
  isFinal,
  isInSync,
  type SubjectRef,
  type SubjectState,
  withWaiting,
} from './subject-state.ts';

/** A subject's state and some of its events as they were read, with what it takes to write them back. */
export interface LedgerView {
  readonly subject: SubjectRef;
  readonly state: SubjectState;
  readonly stateEtag: string | undefined;
  readonly events: ReadonlyMap<EventKey, { readonly record: EventRecord; readonly etag: string }>;
}

export interface LedgerWrite {
  readonly state?: SubjectState | undefined;
  readonly events?: readonly EventRecord[];
}

/** What the ledger needs of a table. */
export type LedgerTable = Pick<Table, 'get' | 'insert' | 'delete' | 'transact' | 'page' | 'rows'>;

/** Ids; absent: from the first, or to the last. */
export interface StatesRange {
  readonly after?: string;
  readonly until?: string;
  readonly continuation?: string;
}

/** Rows of one device that are written so often while they are read do not occur twice in a row. */
const readsAgainAtMost = 5;
const stateRow = 'state';
const eventPrefix = 'event!';

/** Is told of each state that was written, and of those that have to wait; any number of times. */
export interface StateListener {
  update(subject: SubjectRef, before: SubjectState | undefined, after: SubjectState): Promise<void>;
}

/**
 * What should be. One partition a device or batch holds its state and its events; both are written in one
 * transaction, on condition of the etags they were read with.
 */
export class Ledger {
  readonly #tables: Readonly<Record<SubjectKind, LedgerTable>>;

  readonly #listener: StateListener | undefined;

  constructor(devices: LedgerTable, batches: LedgerTable, listener?: StateListener) {
    this.#tables = { device: devices, batch: batches };
    this.#listener = listener;
  }

  /** A view as if nothing were stored: right for most new devices, and found out by the first write if not. */
  blank(subject: SubjectRef): LedgerView {
    return { subject, state: emptyState, stateEtag: undefined, events: new Map() };
  }

  async read(subject: SubjectRef, keys: readonly EventKey[] = []): Promise<LedgerView> {
    let [state, events] = await Promise.all([this.#readState(subject), this.#readRows(subject, keys)]);
    // A row that is pending, and no longer in the state, or not yet: one of the two is older than the other.
    const isTorn = () =>
      events.some(({ record }) => isPending(record) && !state.state.pending.some(isSame(record)));
    for (let again = 0; isTorn() && again < readsAgainAtMost; again++) {
      state = await this.#readState(subject);
      if (isTorn()) {
        events = await this.#readRows(subject, keys);
      }
    }
    if (isTorn()) {
      throw new StorageUnavailableError(
        `The rows of ${subject.kind} ${subject.id} change so often that they cannot be read of one moment. Try again.`,
      );
    }
    return { subject, ...state, events: new Map(events.map((event) => [event.record.key, event])) };
  }

  async #readState({ kind, id }: SubjectRef): Promise<Pick<LedgerView, 'state' | 'stateEtag'>> {
    return stateAndEtag(await this.#tables[kind].get(partitionKey(id), stateRow));
  }

  async #readRows({ kind, id }: SubjectRef, keys: readonly EventKey[]) {
    const partition = partitionKey(id);
    const rows = await Promise.all(
      keys.map((key) => this.#tables[kind].get(partition, `${eventPrefix}${key}`)),
    );
    return rows.flatMap((row) => (row ? [{ record: eventOf(row), etag: row.etag }] : []));
  }

  /**
   * One transaction. Throws a RowConflictError if the state was written since it was read, or an event that was not
   * pending then: rows of pending events are never written without the state.
   */
  async write(view: LedgerView, { state, events = [] }: LedgerWrite): Promise<LedgerView> {
    const pending = new Set(view.state.pending.map(({ key }) => key));
    const changes: Change[] = [];
    if (state) {
      changes.push(change(stateRow, stateValues(view.subject, state), view.stateEtag));
    }
    for (const event of events) {
      const row = `${eventPrefix}${event.key}`;
      changes.push(
        state && pending.has(event.key)
          ? { kind: 'upsert', rowKey: row, values: eventValues(event) }
          : change(row, eventValues(event), view.events.get(event.key)?.etag),
      );
    }
    const etags = await this.#tables[view.subject.kind].transact(partitionKey(view.subject.id), changes);
    const stateEtag = state ? etags.shift() : view.stateEtag;
    const written = new Map(view.events);
    for (const record of events) {
      written.set(record.key, { record, etag: etags.shift() ?? '*' });
    }
    await this.#tell(view, state);
    return { subject: view.subject, state: state ?? view.state, stateEtag, events: written };
  }

  /** Told once a delivery: when DPS agrees, also where one write did all, or when it has to wait. */
  async #tell(
    { subject, state: before, stateEtag }: LedgerView,
    after: SubjectState | undefined,
  ): Promise<void> {
    const isNews = after && (!isInSync(before) || before.revision !== after.revision);
    const isTold = after && (isInSync(after) ? isNews : after.waiting !== before.waiting);
    if (isTold) {
      await this.#listener?.update(subject, stateEtag === undefined ? undefined : before, after);
    }
  }

  /** Whether the state is still the one that was read. */
  async isCurrent({ subject, stateEtag }: LedgerView): Promise<boolean> {
    const row = await this.#tables[subject.kind].get(partitionKey(subject.id), stateRow);
    return row?.etag === stateEtag;
  }

  async readState(subject: SubjectRef): Promise<SubjectState | undefined> {
    const row = await this.#tables[subject.kind].get(partitionKey(subject.id), stateRow);
    return row ? stateOf(row) : undefined;
  }

  async readEvent(subject: SubjectRef, key: EventKey): Promise<EventRecord | undefined> {
    const { state, events } = await this.read(subject, [key]);
    const record = events.get(key)?.record;
    return record && withWaiting(record, state);
  }

  /** Newest first. A subject has tens of events, not thousands: they are sorted in memory. */
  async readEvents(subject: SubjectRef): Promise<EventRecord[]> {
    const filter = odata`PartitionKey eq ${partitionKey(subject.id)} and RowKey ge ${eventPrefix} and RowKey lt ${'event"'}`;
    const state = await this.readState(subject);
    const events: EventRecord[] = [];
    for await (const row of this.#tables[subject.kind].rows(filter)) {
      events.push(withWaiting(eventOf(row), state));
    }
    return events.sort(newestFirst);
  }
  /** State and events, newest first: one query, since they are one partition. */
  async readWhole(
    subject: SubjectRef,
  ): Promise<{ readonly state: SubjectState | undefined; readonly events: readonly EventRecord[] }> {
    const filter = odata`PartitionKey eq ${partitionKey(subject.id)}`;
    let state: SubjectState | undefined;
    const events: EventRecord[] = [];
    for await (const row of this.#tables[subject.kind].rows(filter)) {
      if (row.rowKey === stateRow) {
        state = stateOf(row);
      } else if (row.rowKey.startsWith(eventPrefix)) {
        events.push(eventOf(row));
      }
    }
    const told = events.map((event) => withWaiting(event, state));
    return { state, events: told.sort(newestFirst) };
  }

  /** One page of the states of a kind, in the order of ids; of those behind `after`, up to `until`. */
  async pageOfStates(
    kind: SubjectKind,
    { after, until, continuation }: StatesRange,
  ): Promise<{ readonly states: { id: string; state: SubjectState }[]; readonly continuation?: string }> {
    const from = after === undefined ? '' : odata` and PartitionKey gt ${after}`;
    const end = until === undefined ? '' : odata` and PartitionKey le ${until}`;
    const filter = `${odata`RowKey eq ${stateRow}`}${from}${end}`;
    const page: Page = await this.#tables[kind].page(filter, { continuation });
    const states = page.rows.map((row) => ({ id: row.partitionKey, state: stateOf(row) }));
    return page.continuation === undefined ? { states } : { states, continuation: page.continuation };
  }

  /** Whether the state was removed: only what this adoption has found, and no event has named since. */
  async removeAdopted(subject: SubjectRef, adoptionId: string): Promise<boolean> {
    const table = this.#tables[subject.kind];
    const partition = partitionKey(subject.id);
    const row = await table.get(partition, stateRow);
    const state = row && stateOf(row);
    if (!row || state?.adoptedBy !== adoptionId || state.revision > 0) {
      return false;
    }
    try {
      await table.delete(partition, stateRow, row.etag);
      return true;
    } catch (error) {
      if (!(error instanceof RowConflictError)) {
        throw error;
      }
      return false;
    }
  }

  /** Which of these ids the ledger has a state of. */
  async idsAmong(kind: SubjectKind, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const table = this.#tables[kind];
    const rows = await rowsOfKeys(ids, {
      keyOf: (row) => row.partitionKey,
      page: (first, last) =>
        table.page(odata`PartitionKey ge ${first} and PartitionKey le ${last} and RowKey eq ${stateRow}`, {
          select: ['PartitionKey', 'RowKey'],
        }),
      one: (id) => table.get(partitionKey(id), stateRow),
    });
    return new Set(rows.keys());
  }

  /** Notes that an event has arrived, so that its status answers. An event that is known already stays as it is. */
  async announce(subject: SubjectRef, event: EventRecord): Promise<void> {
    const row = `${eventPrefix}${event.key}`;
    const table = this.#tables[subject.kind];
    try {
      await table.insert(partitionKey(subject.id), row, eventValues(event));
    } catch (error) {
      if (!(error instanceof RowConflictError)) {
        throw error;
      }
    }
  }

  /** Of a page of all events, those that ended before `before` (ISO 8601) go. States stay. Resolves to where to go on. */
  async purgeEvents(
    kind: SubjectKind,
    before: string,
    continuation: string | undefined,
  ): Promise<string | undefined> {
    const table = this.#tables[kind];
    const filter = odata`RowKey ge ${eventPrefix} and RowKey lt ${'event"'} and finishedAt lt ${before}`;
    const page = await table.page(filter, { continuation, select: ['PartitionKey', 'RowKey'] });
    const partitions = Map.groupBy(page.rows, ({ partitionKey: partition }) => partition);
    for (const [partition, rows] of partitions) {
      await deleteRowKeys(
        table,
        partition,
        rows.map(({ rowKey }) => rowKey),
      );
    }
    return page.continuation;
  }
}

export function subjectOf(kind: SubjectKind, id: string): SubjectRef {
  return { kind, id: lowerCase(id) };
}

/** Ids that DPS would not take may hold what a partition key must not; `!` begins no valid id. */
export function partitionKey(id: string): string {
  return isDpsId(id) ? id : `!${sha256(id).slice(0, 32)}`;
}

function newestFirst(left: EventRecord, right: EventRecord): number {
  return compareText(right.receivedAt, left.receivedAt) || compareText(left.key, right.key);
}

function change(rowKey: string, values: Values, etag: string | undefined): Change {
  return etag === undefined ? { kind: 'insert', rowKey, values } : { kind: 'replace', rowKey, values, etag };
}

/** `inSync`, `product`, `batch` and `life` stand beside the JSON for people who look at the table. */
function stateValues(subject: SubjectRef, state: SubjectState): Values {
  const definition = state.registers.definitions[0]?.definition;
  return {
    id: subject.id.slice(0, 128),
    inSync: isInSync(state),
    life: state.registers.life?.life,
    product: definition?.product,
    batch: definition?.batch,
    ...splitText('state', JSON.stringify(state)),
  };
}

function stateAndEtag(row: Row | undefined): Pick<LedgerView, 'state' | 'stateEtag'> {
  return { state: row ? stateOf(row) : emptyState, stateEtag: row?.etag };
}

function isPending({ status }: EventRecord): boolean {
  return !isFinal(status) && status !== 'accepted';
}

function isSame({ key }: EventRecord): (other: EventRecord) => boolean {
  return (other) => other.key === key;
}

function stateOf(row: Row): SubjectState {
  return JSON.parse(joinText('state', row.values) ?? 'null') ?? emptyState;
}

function eventValues(event: EventRecord): Values {
  return {
    status: event.status,
    receivedAt: event.receivedAt,
    finishedAt: event.finishedAt,
    ...splitText('event', JSON.stringify(event)),
  };
}

function eventOf(row: Row): EventRecord {
  return JSON.parse(joinText('event', row.values) ?? 'null');
}
