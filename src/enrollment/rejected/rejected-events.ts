import type { ReadableEnvelope } from '../../events/read-envelope.ts';
import type { Rejection } from '../../events/rejection.ts';
import { deleteRows } from '../../storage/delete-rows.ts';
import { joinText, splitText } from '../../storage/long-text.ts';
import { odata, type Row, RowConflictError, type Table, type Values } from '../../storage/tables.ts';
import type { KeptBody } from './kept-body.ts';

export interface RejectedEvent {
  /** The outcome's id: the event key, or that of the reuse. */
  readonly key: string;
  readonly source?: string | undefined;
  readonly id?: string | undefined;
  readonly type?: string | undefined;
  readonly subject?: string | undefined;
  readonly time?: string | undefined;
  readonly rejectedAt: string;
  readonly reason: string;
  readonly detail: string;
  readonly pointer: string;
  readonly replayable: boolean;
  /** Why not, where it is not. */
  readonly notReplayable?: string | undefined;
  readonly replayedAt?: string | undefined;
  /** How it was rejected before it was replayed. */
  readonly history?: readonly object[];
  /** The replay that this rejection answers. */
  readonly replay?: string | undefined;
  /** The sender that signed it: what it may send is evaluated anew. */
  readonly sender?: string | undefined;
}

export interface Rejected {
  readonly key: string;
  /** As far as it is known. */
  readonly identity: ReadableEnvelope | undefined;
  readonly rejection: Rejection;
  readonly kept: KeptBody;
  readonly sender?: string | undefined;
  readonly firstSeen: Date;
  readonly rejectedAt: Date;
  readonly replay: string | undefined;
}

export interface StoredRejection {
  readonly row: Row;
  readonly event: RejectedEvent;
  /** JSON text. */
  readonly body: string;
  readonly firstSeen: Date;
}

export interface RejectedFilter {
  readonly reason?: string | undefined;
  /** ISO 8601, by arrival. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly source?: string | undefined;
}

const longestDetail = 4_000;
/** Greater than any time that will come: row keys count down from here, so the newest come first. */
const endOfTime = 9_999_999_999_999;
const dayInMs = 86_400_000;

/** What was rejected, with reason, pointer and body, for the person who mends it and for replay. */
export class RejectedEvents {
  readonly #table: Table;
  readonly #retentionInMs: number;

  constructor(table: Table, retentionDays: number) {
    this.#table = table;
    this.#retentionInMs = retentionDays * dayInMs;
  }

  /** Noting the same rejection again changes nothing; one that was replayed in between is a new one. */
  async note(rejected: Rejected): Promise<void> {
    const { partition, row } = keysOf(rejected.key, rejected.firstSeen);
    const { event, body } = rowOf(rejected);
    try {
      await this.#table.insert(partition, row, { ...valuesOf(event), ...splitText('body', body) });
    } catch (error) {
      if (!(error instanceof RowConflictError)) {
        throw error;
      }
      await this.#noteAnew(partition, row, event, body);
    }
  }

  async #noteAnew(partition: string, row: string, event: RejectedEvent, body: string): Promise<void> {
    const known = await this.#table.get(partition, row);
    if (!known) {
      return;
    }
    const before: RejectedEvent = eventOf(known);
    // Its message may come twice.
    if (event.replay === before.replay) {
      // Noted by a delivery of another event, which had no body; now the message itself is here.
      if (!before.replayable && event.replayable) {
        const values = { ...valuesOf(event), ...splitText('body', body) };
        await this.#table.replace(partition, row, values, known.etag);
      }
      return;
    }
    // A replay may be evaluated before it is marked as replayed, but not before it was.
    const { rejectedAt, reason, detail, replayedAt = event.rejectedAt } = before;
    const history = [...(before.history ?? []), { rejectedAt, reason, detail, replayedAt }];
    const values = withEvent(known, { ...event, history });
    await this.#table.replace(partition, row, values, known.etag);
  }

  /** A page, newest first. The continuation is the last row's place; see `isContinuation`. */
  async page(
    filter: RejectedFilter,
    size: number,
    continuation: string | undefined,
  ): Promise<{ readonly events: readonly RejectedEvent[]; readonly continuation?: string }> {
    const rows = await this.#newest(filter, size + 1, continuation);
    const events = rows.slice(0, size).map(eventOf);
    const last = rows[size - 1];
    if (rows.length <= size || !last) {
      return { events };
    }
    return { events, continuation: continuationAfter(last) };
  }

  /** A page with what it takes to show and replay each. */
  async storedPage(
    filter: RejectedFilter,
    size: number,
    continuation: string | undefined,
  ): Promise<{ readonly rejections: readonly StoredRejection[]; readonly continuation?: string }> {
    const rows = await this.#newest(filter, size + 1, continuation);
    const rejections = rows.slice(0, size).map(storedOf);
    const last = rows[size - 1];
    if (rows.length <= size || !last) {
      return { rejections };
    }
    return { rejections, continuation: continuationAfter(last) };
  }

  /** One of them, by when it arrived first. */
  async read(key: string, firstSeen: Date): Promise<StoredRejection | undefined> {
    const { partition, row } = keysOf(key, firstSeen);
    const found = await this.#table.get(partition, row);
    return found && storedOf(found);
  }

  /** By its key alone: it is looked for. */
  async find(key: string): Promise<StoredRejection | undefined> {
    for await (const rejection of this.all({})) {
      if (rejection.event.key === key) {
        return rejection;
      }
    }
    return undefined;
  }

  /** Every rejected event that fits, newest first, with what it takes to replay it. */
  async *all(filter: RejectedFilter): AsyncGenerator<StoredRejection> {
    const seen = new Set<string>();
    const size = 500;
    for (let continuation: string | undefined; ; ) {
      const rows: Row[] = await this.#newest(filter, size, continuation);
      for (const row of rows) {
        const place = `${row.partitionKey} ${row.rowKey}`;
        if (seen.has(place)) {
          continue;
        }
        seen.add(place);
        yield storedOf(row);
      }
      const last = rows.at(-1);
      if (rows.length < size || !last) {
        return;
      }
      continuation = continuationAfter(last);
    }
  }

  /** False if another replay did so meanwhile, or the replayed event is rejected again already. */
  async markReplayed({ row, event }: StoredRejection, now: Date): Promise<boolean> {
    const replayed: RejectedEvent = { ...event, replayedAt: now.toISOString() };
    const values = withEvent(row, replayed);
    try {
      await this.#table.replace(row.partitionKey, row.rowKey, values, row.etag);
      return true;
    } catch (error) {
      if (error instanceof RowConflictError) {
        return false;
      }
      throw error;
    }
  }

  /** What arrived before that day goes. */
  async purge(before: Date): Promise<void> {
    const filter = odata`PartitionKey lt ${dayOf(before)}`;
    await deleteRows(this.#table, filter);
  }

  /** Days are partitions, and partitions sort oldest first: so days are walked one by one from the newest. */
  async #newest(filter: RejectedFilter, size: number, continuation: string | undefined): Promise<Row[]> {
    const place = continuation === undefined ? undefined : placeOf(continuation);
    const oldest = (await this.#table.page('', { size: 1, select: ['PartitionKey', 'RowKey'] })).rows[0];
    const tomorrow = dayOf(new Date(Date.now() + dayInMs));
    const first = earliest(
      earliest(place?.day ?? tomorrow, tomorrow),
      filter.until && dayOf(new Date(filter.until)),
    );
    const last = latest(
      latest(oldest?.partitionKey ?? first, dayOf(new Date(Date.now() - this.#retentionInMs - dayInMs))),
      filter.since && dayOf(new Date(filter.since)),
    );
    const reason = filter.reason === undefined ? '' : odata` and reason eq ${filter.reason}`;
    const found: Row[] = [];
    for (const day of daysBack(first, last)) {
      const after = day === place?.day ? odata` and RowKey gt ${place.row}` : '';
      for await (const row of this.#table.rows(`${odata`PartitionKey eq ${day}`}${after}${reason}`)) {
        if (isWithin(row, filter)) {
          found.push(row);
        }
        if (found.length >= size) {
          return found;
        }
      }
    }
    return found;
  }
}

/** Whether a text is a continuation that a page was answered with. */
export function isContinuation(text: string): boolean {
  return placeOf(text) !== undefined;
}

function placeOf(continuation: string): { readonly day: string; readonly row: string } | undefined {
  const place = Buffer.from(continuation, 'base64url').toString();
  const [, day, row] = /^(\d{4}-\d{2}-\d{2}) (\d{13}-[0-9a-z-]{1,80})$/.exec(place) ?? [];
  const isDay = day !== undefined && !Number.isNaN(Date.parse(`${day}T00:00:00Z`));
  return isDay && row !== undefined ? { day, row } : undefined;
}

function* daysBack(from: string, to: string): Generator<string> {
  for (let day = new Date(`${from}T00:00:00Z`); dayOf(day) >= to; day = new Date(day.getTime() - dayInMs)) {
    yield dayOf(day);
  }
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function earliest(day: string, other: string | undefined): string {
  return other !== undefined && other < day ? other : day;
}

function latest(day: string, other: string | undefined): string {
  return other !== undefined && other > day ? other : day;
}

export function keysOf(key: string, firstSeen: Date): { readonly partition: string; readonly row: string } {
  const reverse = String(endOfTime - firstSeen.getTime()).padStart(13, '0');
  return { partition: firstSeen.toISOString().slice(0, 10), row: `${reverse}-${key}` };
}

function continuationAfter({ partitionKey, rowKey }: Row): string {
  return Buffer.from(`${partitionKey} ${rowKey}`).toString('base64url');
}

function storedOf(row: Row): StoredRejection {
  const event = eventOf(row);
  const firstSeen = new Date(endOfTime - Number(row.rowKey.slice(0, 13)));
  return { row, event, body: joinText('body', row.values) ?? '', firstSeen };
}

function isWithin(row: Row, filter: RejectedFilter): boolean {
  if (filter.source !== undefined && storedOf(row).event.source !== filter.source) {
    return false;
  }
  const arrived = new Date(endOfTime - Number(row.rowKey.slice(0, 13))).toISOString();
  if (filter.since !== undefined && arrived < new Date(filter.since).toISOString()) {
    return false;
  }
  return filter.until === undefined || arrived <= new Date(filter.until).toISOString();
}

function valuesOf(event: RejectedEvent): Values {
  return {
    reason: event.reason,
    rejectedAt: event.rejectedAt,
    ...splitText('event', JSON.stringify(event)),
  };
}

/** Of what an earlier text was split over, nothing is left behind. */
function withEvent({ values }: Row, event: RejectedEvent): Values {
  const others = Object.entries(values).filter(([name]) => !/^event(?:_\d+)?$/.test(name));
  return { ...(Object.fromEntries(others) as Values), ...valuesOf(event) };
}

function eventOf({ values }: Row): RejectedEvent {
  return JSON.parse(joinText('event', values) ?? '{}');
}

function rowOf(rejected: Rejected): { readonly event: RejectedEvent; readonly body: string } {
  const { identity, rejection, kept } = rejected;
  return {
    body: kept.body,
    event: {
      key: rejected.key,
      source: identity?.source,
      id: identity?.id,
      type: identity?.type,
      subject: identity?.subject,
      time: identity?.time,
      rejectedAt: rejected.rejectedAt.toISOString(),
      reason: rejection.reason,
      detail: rejection.detail.slice(0, longestDetail),
      pointer: rejection.pointer.slice(0, longestDetail),
      replayable: kept.why === undefined,
      notReplayable: kept.why,
      replay: rejected.replay,
      sender: rejected.sender,
    },
  };
}
