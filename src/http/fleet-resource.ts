import { findingCodes } from '../audit/finding.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { FilterError, type FleetFilter, filterParameters, readFilter } from '../fleet/fleet-filter.ts';
import type { FleetLists, FleetPage } from '../fleet/fleet-list.ts';
import type { ListedEntry } from '../fleet/index-rows.ts';
import { byteOrderMark, csvText, type Delimiter, delimiterOf, delimiterRule } from '../tools/csv.ts';
import { csvHeaders, type HttpResponse, json, problem } from './http-response.ts';
import { preferredRepresentation, type Request } from './request.ts';

const entriesPerPage = 100;
/** A file has so many rows at most; what is beyond is in the next one. */
const entriesPerFile = 10_000;
const readsPerFile = 30;
/** `code`: a function key in the address is the host's affair. */
const noFilters = ['continuation', 'format', 'delimiter', 'code'];

/** `GET /api/devices` and `GET /api/batches`: the fleet, by the index. */
export class FleetResource {
  readonly #lists: FleetLists;
  readonly #page: (kind: SubjectKind, query: URLSearchParams) => Promise<HttpResponse>;

  constructor(lists: FleetLists, page: (kind: SubjectKind, query: URLSearchParams) => Promise<HttpResponse>) {
    this.#lists = lists;
    this.#page = page;
  }

  async list(kind: SubjectKind, request: Request): Promise<HttpResponse> {
    const representation = preferredRepresentation(request, ['json', 'csv', 'html']);
    const { searchParams } = new URL(request.url);
    try {
      const filter = readFilter(kind, searchParams, { others: noFilters, findingCodes });
      const continuation = searchParams.get('continuation') ?? undefined;
      if (representation === 'csv') {
        const delimiter = delimiterOf(searchParams.get('delimiter'));
        if (delimiter === undefined) {
          throw new FilterError(delimiterRule);
        }
        return await this.csv(kind, filter, continuation, delimiter);
      }
      if (representation === 'html') {
        return this.#page(kind, searchParams);
      }
      if (representation === undefined) {
        return problem({ status: 406, detail: 'The list comes as application/json, text/csv or text/html.' });
      }
      const page = await this.#lists.page(kind, filter, { size: entriesPerPage, continuation });
      return json(200, listDocument(kind, page));
    } catch (error) {
      if (!(error instanceof FilterError)) {
        throw error;
      }
      return problem({ status: 400, type: 'invalid-filter', title: 'Invalid filter', detail: error.message });
    }
  }

  /** All rows of a filter, not a page of them; `Link` names the next file where one does not do. */
  async csv(
    kind: SubjectKind,
    filter: FleetFilter,
    continuation: string | undefined,
    delimiter: Delimiter,
  ): Promise<HttpResponse> {
    const page = await this.#lists.page(kind, filter, {
      size: entriesPerFile,
      continuation,
      reads: readsPerFile,
    });
    const name = kind === 'device' ? 'devices' : 'batches';
    const next = new URLSearchParams([...filterParameters(filter), ['format', 'csv']]);
    if (page.continuation !== undefined) {
      next.set('continuation', page.continuation);
    }
    return {
      status: 200,
      headers: {
        ...csvHeaders(`${name}.csv`),
        ...(page.continuation === undefined ? {} : { link: `</api/${name}?${next}>; rel="next"` }),
      },
      body: `${byteOrderMark}${csvText(csvRows(kind, page.entries), delimiter)}`,
    };
  }
}

function listDocument(kind: SubjectKind, page: FleetPage) {
  const listed = page.entries.map((entry) => entryDocument(kind, entry));
  return {
    [kind === 'device' ? 'devices' : 'batches']: listed,
    ...(page.continuation === undefined ? {} : { continuation: page.continuation }),
  };
}

function entryDocument(kind: SubjectKind, entry: ListedEntry) {
  const { id, group, waiting, counts, definedAt, state, hub, registeredAt, ...rest } = entry;
  if (kind === 'batch') {
    return { batchId: id, ...rest, ...present({ startedAt: definedAt, counts }) };
  }
  const more = { enrollmentGroupId: group, state, hub, manufacturedAt: definedAt, registeredAt };
  return { registrationId: id, ...rest, waiting, ...present(more) };
}

function present(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

const deviceColumns = [
  'registrationId',
  'deviceId',
  'product',
  'batch',
  'enrollmentGroupId',
  'life',
  'held',
  'heldReason',
  'pending',
  'state',
  'waiting',
  'hub',
  'findings',
  'manufacturedAt',
  'registeredAt',
  'labels',
];
const batchColumns = [
  'batchId',
  'product',
  'life',
  'held',
  'heldReason',
  'pending',
  'findings',
  'startedAt',
  'labels',
];

function csvRows(kind: SubjectKind, entries: readonly ListedEntry[]) {
  const labels = (entry: ListedEntry) =>
    Object.entries(entry.labels)
      .map(([name, value]) => `${name}:${value}`)
      .join('; ');
  if (kind === 'batch') {
    return [
      batchColumns,
      ...entries.map((each) => [
        each.id,
        each.product,
        each.life,
        each.held,
        each.heldReason,
        each.pending,
        each.findings.join(' '),
        each.definedAt,
        labels(each),
      ]),
    ];
  }
  return [
    deviceColumns,
    ...entries.map((each) => [
      each.id,
      each.deviceId,
      each.product,
      each.batch,
      each.group,
      each.life,
      each.held,
      each.heldReason,
      each.pending,
      each.state,
      each.waiting,
      each.hub,
      each.findings.join(' '),
      each.definedAt,
      each.registeredAt,
      labels(each),
    ]),
  ];
}
