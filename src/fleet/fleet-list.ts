import { sha256 } from '../events/event-identity.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { odata, type Table } from '../storage/tables.ts';
import { FilterError, type FleetFilter, filterParameters } from './fleet-filter.ts';
import { afterPrefix, type IndexName, indexPartition, searchTerm } from './index-keys.ts';
import { type ListedEntry, labelKey, listedOf } from './index-rows.ts';

/** What Table Storage returns at most, and reads before it cuts a page. */
const rowsPerRead = 1_000;

export interface FleetPage {
  readonly entries: readonly ListedEntry[];
  readonly continuation?: string;
}

/** Reads lists of devices and batches from the index: a page costs two reads at most, whatever the size of the fleet. */
export class FleetLists {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /**
   * A page of `size` entries, in the order of their ids (with `q`: of what it finds). It may be shorter, even empty, and
   * have a continuation all the same, where two conditions rarely meet.
   *
   * @throws FilterError if the continuation is none of this filter's
   */
  async page(
    kind: SubjectKind,
    filter: FleetFilter,
    { size, continuation, reads = 2 }: { size: number; continuation?: string | undefined; reads?: number },
  ): Promise<FleetPage> {
    const plan = planOf(kind, filter);
    let place = continuation === undefined ? startOfList : placeIn(kind, filter, continuation);
    const entries = new Map<string, ListedEntry>();
    const pageUntil = (end: Place) => ({
      entries: [...entries.values()],
      continuation: continuationOf(kind, filter, end),
    });
    for (let read = 0; read < reads && entries.size < size; read++) {
      const page = await this.#table.page(queryOf(plan, place.after), {
        size: rowsToRead(plan, size),
        continuation: place.token,
      });
      let last = place.after;
      for (const row of page.rows) {
        const entry = listedOf(row);
        // A device whose ids and labels begin alike is found more than once.
        if (plan.fits(entry) && !entries.has(entry.id)) {
          if (entries.size === size) {
            return pageUntil({ after: last });
          }
          entries.set(entry.id, entry);
        }
        last = row.rowKey;
      }
      if (page.continuation === undefined) {
        return { entries: [...entries.values()] };
      }
      // Table Storage may cut a page where it found nothing: only its own token says where that was.
      place = { after: place.after, token: page.continuation };
    }
    return pageUntil(place);
  }
}

/** Behind a row, and where the service has cut the query that begins there. */
interface Place {
  readonly after?: string | undefined;
  readonly token?: string | undefined;
}

const startOfList: Place = {};

interface Plan {
  readonly partition: string;
  readonly prefix: string | undefined;
  /** Conditions that the service looks at. */
  readonly where: string;
  /** Those that it cannot. */
  fits(entry: ListedEntry): boolean;
  readonly isExact: boolean;
}

/** The list that is shortest, most often, and the other conditions on its columns. */
function planOf(kind: SubjectKind, filter: FleetFilter): Plan {
  const rest: Record<string, unknown> = { ...filter };
  const { index, value } = listFor(filter, rest);
  const columns: string[] = [];
  for (const [name, column] of [
    ['product', 'product'],
    ['batch', 'batch'],
    ['enrollmentGroup', 'group'],
    ['hub', 'hub'],
    ['life', 'life'],
  ] as const) {
    if (typeof rest[name] === 'string') {
      columns.push(` and ${column} ${odata`eq ${rest[name]}`}`);
    }
  }
  if (rest.state !== undefined) {
    columns.push(
      rest.state === 'waiting' ? ' and waiting eq true' : odata` and state eq ${String(rest.state)}`,
    );
  }
  for (const name of ['held', 'pending'] as const) {
    if (rest[name] !== undefined) {
      columns.push(` and ${name} eq ${rest[name] === true}`);
    }
  }
  const { label, finding } = rest as Pick<FleetFilter, 'label' | 'finding'>;
  return {
    partition: indexPartition(kind, index, value),
    prefix: filter.q === undefined ? undefined : searchTerm(filter.q),
    where: columns.join(''),
    isExact: label === undefined && finding === undefined && filter.q === undefined,
    fits: (entry) =>
      (label === undefined || entry.labels[label.name] === label.value) &&
      (finding === undefined || entry.findings.includes(finding)),
  };
}

/** Takes what the list itself answers out of the rest. */
function listFor(
  filter: FleetFilter,
  rest: Record<string, unknown>,
): { readonly index: IndexName; readonly value?: string } {
  const taken = <T extends { readonly index: IndexName }>(name: keyof FleetFilter, list: T): T => {
    delete rest[name];
    return list;
  };
  if (filter.q !== undefined) {
    return taken('q', { index: 'search' });
  }
  if (filter.finding !== undefined) {
    return taken('finding', { index: 'finding', value: filter.finding });
  }
  if (filter.pending === true) {
    return taken('pending', { index: 'pending' });
  }
  if (filter.held === true) {
    return taken('held', { index: 'held' });
  }
  if (filter.batch !== undefined) {
    return taken('batch', { index: 'batch', value: filter.batch });
  }
  if (filter.label !== undefined) {
    return taken('label', { index: 'label', value: labelKey(filter.label.name, filter.label.value) });
  }
  if (filter.state === 'waiting') {
    return taken('state', { index: 'waiting' });
  }
  if (filter.state !== undefined && filter.state !== 'assigned') {
    return taken('state', { index: 'state', value: filter.state });
  }
  if (filter.life !== undefined && filter.life !== 'manufactured') {
    return taken('life', { index: 'life', value: filter.life });
  }
  if (filter.enrollmentGroup !== undefined) {
    return taken('enrollmentGroup', { index: 'group', value: filter.enrollmentGroup });
  }
  if (filter.product !== undefined) {
    return taken('product', { index: 'product', value: filter.product });
  }
  if (filter.hub !== undefined) {
    return taken('hub', { index: 'hub', value: filter.hub });
  }
  if (filter.state !== undefined) {
    return taken('state', { index: 'state', value: filter.state });
  }
  if (filter.life !== undefined) {
    return taken('life', { index: 'life', value: filter.life });
  }
  return { index: 'all' };
}

function queryOf({ partition, prefix, where }: Plan, after: string | undefined): string {
  const from =
    after !== undefined
      ? odata` and RowKey gt ${after}`
      : prefix !== undefined
        ? odata` and RowKey ge ${prefix}`
        : '';
  const until = prefix === undefined ? '' : odata` and RowKey lt ${afterPrefix(prefix)}`;
  return `${odata`PartitionKey eq ${partition}`}${from}${until}${where}`;
}

/** One more than is shown says whether there is more. */
function rowsToRead({ isExact }: Plan, size: number): number {
  return Math.min(rowsPerRead, isExact ? size + 1 : rowsPerRead);
}

function continuationOf(kind: SubjectKind, filter: FleetFilter, { after, token }: Place): string {
  const parts = [nameOf(kind, filter), after ?? null, token ?? null];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

function placeIn(kind: SubjectKind, filter: FleetFilter, continuation: string): Place {
  try {
    const parts: unknown = JSON.parse(Buffer.from(continuation, 'base64url').toString());
    if (Array.isArray(parts) && parts[0] === nameOf(kind, filter)) {
      const [, after, token] = parts.map((part) => (typeof part === 'string' ? part : undefined));
      return { after, token };
    }
  } catch {
    // said below
  }
  throw new FilterError('The continuation does not belong to these filters. Begin without one.');
}

function nameOf(kind: SubjectKind, filter: FleetFilter): string {
  return sha256(JSON.stringify([kind, ...filterParameters(filter).sort()])).slice(0, 12);
}
