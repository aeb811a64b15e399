import { compareText } from '../events/compare-text.ts';
import { type EventKey, lowerCase, sha256 } from '../events/event-identity.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { isDpsId } from '../events/read-event.ts';
import { joinText, splitText } from '../storage/long-text.ts';
import {
  type Change,
  odata,
  type Page,
  type Row,
  RowConflictError,
  type Table,
  type Values,
} from '../storage/tables.ts';
import {
  type EventRecord,
  emptyState,
  isInSync,
  type SubjectRef,
  type SubjectState,
} from './subject-state.ts';

/** A subject's state and one of its events as they were read, with what it takes to write them back. */
export interface LedgerEntry {
  readonly subject: SubjectRef;
  readonly key: EventKey;
  readonly state: SubjectState;
  readonly stateEtag: string | undefined;
  readonly event: EventRecord | undefined;
  readonly eventEtag: string | undefined;
}

export interface LedgerWrite {
  readonly state?: SubjectState;
  readonly event?: EventRecord;
}

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
  readonly #tables: Readonly<Record<SubjectKind, Table>>;

  readonly #listener: StateListener | undefined;

  constructor(devices: Table, batches: Table, listener?: StateListener) {
    this.#tables = { device: devices, batch: batches };
    this.#listener = listener;
  }

  /** An entry as if nothing were stored: right for most new events, and found out by the first write if not. */
  blank(subject: SubjectRef, key: EventKey): LedgerEntry {
    return { subject, key, state: emptyState, stateEtag: undefined, event: undefined, eventEtag: undefined };
  }

  async read(subject: SubjectRef, key: EventKey): Promise<LedgerEntry> {
    const table = this.#tables[subject.kind];
    const partition = partitionKey(subject.id);
    const [state, event] = await Promise.all([
      table.get(partition, stateRow),
      table.get(partition, `${eventPrefix}${key}`),
    ]);
    return {
      subject,
      key,
      state: state ? stateOf(state) : emptyState,
      stateEtag: state?.etag,
      event: event ? eventOf(event) : undefined,
      eventEtag: event?.etag,
    };
  }

  /** Throws a RowConflictError if either row was written since it was read. */
  async write(entry: LedgerEntry, write: LedgerWrite): Promise<LedgerEntry> {
    const changes: Change[] = [];
    if (write.state) changes.push(change(stateRow, stateValues(entry.subject, write.state), entry.stateEtag));
    if (write.event)
      changes.push(change(`${eventPrefix}${entry.key}`, eventValues(write.event), entry.eventEtag));
    const etags = await this.#tables[entry.subject.kind].transact(partitionKey(entry.subject.id), changes);
    await this.#tell(entry, write);
    return {
      ...entry,
      ...(write.state ? { state: write.state, stateEtag: etags.shift() } : {}),
      ...(write.event ? { event: write.event, eventEtag: etags.shift() } : {}),
    };
  }

  /** What is applied within the same delivery is told once, when it is. */
  async #tell(
    { subject, state: known, stateEtag }: LedgerEntry,
    { state, event }: LedgerWrite,
  ): Promise<void> {
    const after = event?.status === 'retrying' ? (state ?? known) : state;
    if (after && (isInSync(after) || event?.status === 'retrying')) {
      await this.#listener?.update(subject, stateEtag === undefined ? undefined : known, after);
    }
  }

  /** Throws a RowConflictError if the state was written since it was read. */
  async confirm({ subject, stateEtag }: LedgerEntry): Promise<void> {
    const row = await this.#tables[subject.kind].get(partitionKey(subject.id), stateRow);
    if (row?.etag === stateEtag) return;
    throw new RowConflictError(`What is said of ${subject.kind} ${subject.id} has changed in the meantime.`);
  }

  async readState(subject: SubjectRef): Promise<SubjectState | undefined> {
    const row = await this.#tables[subject.kind].get(partitionKey(subject.id), stateRow);
    return row ? stateOf(row) : undefined;
  }

  async readEvent(subject: SubjectRef, key: EventKey): Promise<EventRecord | undefined> {
    const row = await this.#tables[subject.kind].get(partitionKey(subject.id), `${eventPrefix}${key}`);
    return row ? eventOf(row) : undefined;
  }

  /** Newest first. A subject has tens of events, not thousands: they are sorted in memory. */
  async readEvents(subject: SubjectRef): Promise<EventRecord[]> {
    const filter = odata`PartitionKey eq ${partitionKey(subject.id)} and RowKey ge ${eventPrefix} and RowKey lt ${'event"'}`;
    const events: EventRecord[] = [];
    for await (const row of this.#tables[subject.kind].rows(filter)) events.push(eventOf(row));
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
      if (row.rowKey === stateRow) state = stateOf(row);
      else if (row.rowKey.startsWith(eventPrefix)) events.push(eventOf(row));
    }
    return { state, events: events.sort(newestFirst) };
  }

  /** One page of all states of a kind, for the audit. */
  async pageOfStates(
    kind: SubjectKind,
    continuation: string | undefined,
  ): Promise<{ readonly states: { id: string; state: SubjectState }[]; readonly continuation?: string }> {
    const page: Page = await this.#tables[kind].page(odata`RowKey eq ${stateRow}`, { continuation });
    const states = page.rows.map((row) => ({ id: row.partitionKey, state: stateOf(row) }));
    return page.continuation === undefined ? { states } : { states, continuation: page.continuation };
  }

  /** Notes that an event has arrived, so that its status answers. An event that is known already stays as it is. */
  async announce(subject: SubjectRef, event: EventRecord): Promise<void> {
    const row = `${eventPrefix}${event.key}`;
    const table = this.#tables[subject.kind];
    try {
      await table.insert(partitionKey(subject.id), row, eventValues(event));
    } catch (error) {
      if (!(error instanceof RowConflictError)) throw error;
    }
  }

  /** Events that ended before `before` (ISO 8601) go. States stay. */
  async purgeEvents(kind: SubjectKind, before: string): Promise<number> {
    const table = this.#tables[kind];
    const filter = odata`RowKey ge ${eventPrefix} and RowKey lt ${'event"'} and finishedAt lt ${before}`;
    let purged = 0;
    for await (const row of table.rows(filter, ['partitionKey', 'rowKey'])) {
      await table.delete(row.partitionKey, row.rowKey);
      purged++;
    }
    return purged;
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
