import { sha256 } from '../events/event-identity.ts';
import { isJsonObject } from '../events/json.ts';
import type { EventIdentity } from '../events/manufacturing-event.ts';
import type { Rejection } from '../events/rejection.ts';
import { joinText, splitText } from '../storage/long-text.ts';
import { odata, type Row, RowConflictError, type Table, type Values } from '../storage/tables.ts';

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
}

export interface Rejected {
  readonly key: string;
  readonly identity: EventIdentity | undefined;
  readonly rejection: Rejection;
  readonly text: string;
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
}

const keysRemoved = 'its keys were removed';
const notKept = 'its body is no JSON, of which only length and hash are kept';
const tooLarge = 'its body is too large to be kept';
const longestKeptBody = 220_000;
/** Greater than any time that will come: row keys count down from here, so the newest come first. */
const endOfTime = 9_999_999_999_999;
const dayInMs = 86_400_000;

/** What was rejected, with reason, pointer and body, for the person who mends it and for replay. */
export class RejectedEvents {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Noting the same rejection again changes nothing; one that was replayed in between is a new one. */
  async note(rejected: Rejected): Promise<void> {
    const { partition, row } = keysOf(rejected.key, rejected.firstSeen);
    const { event, body } = rowOf(rejected);
    const kept = body === undefined ? {} : splitText('body', body);
    try {
      await this.#table.insert(partition, row, { ...valuesOf(event), ...kept });
    } catch (error) {
      if (!(error instanceof RowConflictError)) throw error;
      await this.#noteAnew(partition, row, event);
    }
  }

  async #noteAnew(partition: string, row: string, event: RejectedEvent): Promise<void> {
    const known = await this.#table.get(partition, row);
    if (!known) return;
    const before: RejectedEvent = JSON.parse(String(known.values.event));
    // Its message may come twice.
    if (event.replay === before.replay) return;
    // A replay may be judged before it is marked as replayed, but not before it was.
    const { rejectedAt, reason, detail, replayedAt = event.rejectedAt } = before;
    const history = [...(before.history ?? []), { rejectedAt, reason, detail, replayedAt }];
    const values = { ...(known.values as Values), ...valuesOf({ ...event, history }) };
    await this.#table.replace(partition, row, values, known.etag);
  }

  /** A page, newest first. The continuation is the last row's place: opaque to callers. */
  async page(
    filter: RejectedFilter,
    size: number,
    continuation: string | undefined,
  ): Promise<{ readonly events: readonly RejectedEvent[]; readonly continuation?: string }> {
    const rows = await this.#newest(filter, size + 1, continuation);
    const events = rows.slice(0, size).map(({ values }) => JSON.parse(String(values.event)) as RejectedEvent);
    const last = rows[size - 1];
    if (rows.length <= size || !last) return { events };
    return { events, continuation: Buffer.from(`${last.partitionKey} ${last.rowKey}`).toString('base64url') };
  }

  /** Every rejected event that fits, newest first, with what it takes to replay it. */
  async *all(filter: RejectedFilter): AsyncGenerator<StoredRejection> {
    const seen = new Set<string>();
    const size = 500;
    for (let continuation: string | undefined; ; ) {
      const rows: Row[] = await this.#newest(filter, size, continuation);
      for (const row of rows) {
        const place = `${row.partitionKey} ${row.rowKey}`;
        if (seen.has(place)) continue;
        seen.add(place);
        const event: RejectedEvent = JSON.parse(String(row.values.event));
        const firstSeen = new Date(endOfTime - Number(row.rowKey.slice(0, 13)));
        yield { row, event, body: joinText('body', row.values) ?? '', firstSeen };
      }
      const last = rows.at(-1);
      if (rows.length < size || !last) return;
      continuation = Buffer.from(`${last.partitionKey} ${last.rowKey}`).toString('base64url');
    }
  }

  /** False if another replay did so meanwhile, or the replayed event is rejected again already. */
  async markReplayed({ row, event }: StoredRejection, now: Date): Promise<boolean> {
    const replayed: RejectedEvent = { ...event, replayedAt: now.toISOString() };
    const values = { ...(row.values as Values), event: JSON.stringify(replayed) };
    try {
      await this.#table.replace(row.partitionKey, row.rowKey, values, row.etag);
      return true;
    } catch (error) {
      if (error instanceof RowConflictError) return false;
      throw error;
    }
  }

  /** What arrived before that day goes. */
  async purge(before: Date): Promise<void> {
    const filter = odata`PartitionKey lt ${dayOf(before)}`;
    for await (const row of this.#table.rows(filter, ['PartitionKey', 'RowKey']))
      await this.#table.delete(row.partitionKey, row.rowKey);
  }

  /** Days are partitions, and partitions sort oldest first: so days are walked one by one from the newest. */
  async #newest(filter: RejectedFilter, size: number, continuation: string | undefined): Promise<Row[]> {
    const [fromDay, afterRow] = Buffer.from(continuation ?? '', 'base64url')
      .toString()
      .split(' ');
    const oldest = (await this.#table.page('', { size: 1, select: ['PartitionKey', 'RowKey'] })).rows[0];
    const first = earliest(fromDay || dayOf(new Date(Date.now() + dayInMs)), filter.until?.slice(0, 10));
    const reason = filter.reason === undefined ? '' : odata` and reason eq ${filter.reason}`;
    const found: Row[] = [];
    for (const day of daysBack(first, latest(oldest?.partitionKey ?? first, filter.since?.slice(0, 10)))) {
      const after = day === fromDay && afterRow ? odata` and RowKey gt ${afterRow}` : '';
      for await (const row of this.#table.rows(`${odata`PartitionKey eq ${day}`}${after}${reason}`)) {
        if (isWithin(row, filter)) found.push(row);
        if (found.length >= size) return found;
      }
    }
    return found;
  }
}

function* daysBack(from: string, to: string): Generator<string> {
  for (let day = new Date(`${from}T00:00:00Z`); dayOf(day) >= to; day = new Date(day.getTime() - dayInMs))
    yield dayOf(day);
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

function isWithin(row: Row, filter: RejectedFilter): boolean {
  const arrived = new Date(endOfTime - Number(row.rowKey.slice(0, 13))).toISOString();
  if (filter.since !== undefined && arrived < new Date(filter.since).toISOString()) return false;
  return filter.until === undefined || arrived <= new Date(filter.until).toISOString();
}

function valuesOf(event: RejectedEvent): Values {
  return { reason: event.reason, rejectedAt: event.rejectedAt, event: JSON.stringify(event) };
}

function rowOf(rejected: Rejected): { readonly event: RejectedEvent; readonly body: string | undefined } {
  const kept = withoutKeys(rejected.text);
  const { identity, rejection } = rejected;
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
      detail: rejection.detail,
      pointer: rejection.pointer,
      replayable: kept.why === undefined,
      notReplayable: kept.why,
      replay: rejected.replay,
    },
  };
}

/** The body as it may be kept: without symmetric keys; of what is no JSON, only what identifies it. */
export function withoutKeys(text: string): { readonly body: string | undefined; readonly why?: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
    if (typeof value === 'string') value = JSON.parse(value);
  } catch {
    const length = Buffer.byteLength(text);
    return { body: JSON.stringify({ length, sha256: sha256(text) }), why: notKept };
  }
  let removed = false;
  const clean = JSON.stringify(value, (name, member) => {
    if (!/^(primary|secondary)Key$|^sharedAccessKey$|^data_base64$/i.test(name)) return member;
    if (isJsonObject(member)) return member;
    removed = true;
    return undefined;
  });
  if (clean.length > longestKeptBody)
    return { body: JSON.stringify({ length: Buffer.byteLength(text), sha256: sha256(text) }), why: tooLarge };
  return removed ? { body: clean, why: keysRemoved } : { body: clean };
}
