import { findingCodes } from '../audit/finding.ts';
import type { Ledger } from '../enrollment/ledger/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import type { RejectedEvents, RejectedFilter } from '../enrollment/rejected/rejected-events.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { FilterError, readFilter } from '../fleet/fleet-filter.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import type { FleetLists } from '../fleet/fleet-list.ts';
import { delimiterOf, delimiterRule } from '../tools/csv.ts';
import { AuditPages, type AuditPagesParts } from './audit-pages.ts';
import type { CredentialsIssuer } from './credentials-resource.ts';
import type { DpsViewParts } from './dps-view.ts';
import type { FleetResource } from './fleet-resource.ts';
import type { HttpResponse } from './http-response.ts';
import { dateOf, endOfDay, onlyParameters, PageError } from './page-parameters.ts';
import { notFoundPage, type PageRequest, page } from './page-response.ts';
import { batchBody, tallyOf } from './pages/batch-page.ts';
import { deviceBody } from './pages/device-page.ts';
import { listBody } from './pages/list-pages.ts';
import { problemPage } from './pages/problem-page.ts';
import { type RejectedEventContent, rejectedEventBody, rejectedListBody } from './pages/rejected-pages.ts';
import { statusBody } from './pages/status-page.ts';
import type { Viewer } from './sign-in.ts';
import type { StatusResource } from './status-resource.ts';
import { readSubjectView } from './subject-view.ts';

export interface FleetPagesParts extends DpsViewParts, AuditPagesParts {
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  readonly fleetIndex: FleetIndex;
  readonly fleetLists: FleetLists;
  readonly fleet: FleetResource;
  readonly rejectedEvents: RejectedEvents;
  readonly status: StatusResource;
  readonly credentialsIssuer: Pick<CredentialsIssuer, 'areServed'>;
  /** With HUB_ACCESS=close. */
  readonly closesHubs: boolean;
}

const devicesPerPage = 50;
const rejectionsPerPage = 50;
const devicesOfBatch = 20;

/** The pages under `/fleet`: each reads what it shows, and has it put into words. */
export class FleetPages {
  readonly #parts: FleetPagesParts;
  readonly #audits: AuditPages;

  constructor(parts: FleetPagesParts) {
    this.#parts = parts;
    this.#audits = new AuditPages(parts);
  }

  /** What a page throws for a request that it cannot answer becomes one, too. */
  async guarded(viewer: Viewer, show: () => Promise<HttpResponse>): Promise<HttpResponse> {
    try {
      return await show();
    } catch (error) {
      if (!(error instanceof FilterError) && !(error instanceof PageError)) {
        throw error;
      }
      return problemPage(400, 'This address is not right', error.message, { viewer, icon: 'warning' });
    }
  }

  /** The same page for whoever has a key: to look at, without forms. */
  forKey(which: 'overview' | 'device' | 'batch', id: string): Promise<HttpResponse> {
    const request: PageRequest = {
      query: new URLSearchParams(which === 'overview' ? { run: id } : {}),
      viewer: { kind: 'key' },
    };
    return this.guarded(request.viewer, () =>
      which === 'overview'
        ? this.overview(request)
        : which === 'device'
          ? this.device(id, request)
          : this.batch(id, request),
    );
  }

  listForKey(kind: SubjectKind, query: URLSearchParams): Promise<HttpResponse> {
    const without = new URLSearchParams([...query].filter(([name]) => name !== 'code' && name !== 'format'));
    const viewer: Viewer = { kind: 'key' };
    return this.guarded(viewer, () => this.list(kind, { query: without, viewer }));
  }

  overview(request: PageRequest): Promise<HttpResponse> {
    return this.#audits.overview(request);
  }

  findings(request: PageRequest): Promise<HttpResponse> {
    return this.#audits.findings(request);
  }

  async list(kind: SubjectKind, { query, viewer, said }: PageRequest): Promise<HttpResponse> {
    const filter = readFilter(kind, query, {
      others: ['continuation', 'format', 'delimiter', 'done'],
      findingCodes,
    });
    const continuation = query.get('continuation') ?? undefined;
    if (query.get('format') === 'csv') {
      const delimiter = delimiterOf(query.get('delimiter'));
      if (delimiter === undefined) {
        throw new PageError(delimiterRule);
      }
      return this.#parts.fleet.csv(kind, filter, continuation, delimiter);
    }
    const [newest, found] = await Promise.all([
      this.#parts.auditStore.newest(),
      this.#parts.fleetLists.page(kind, filter, { size: devicesPerPage, continuation, reads: 1 }),
    ]);
    const body = listBody({
      kind,
      filter,
      page: found,
      isFirst: continuation === undefined,
      pageSize: devicesPerPage,
      summary: newest?.summary,
      auditedAt: newest?.run.finishedAt,
    });
    const section = kind === 'device' ? 'devices' : 'batches';
    return page(kind === 'device' ? 'Devices' : 'Batches', section, viewer, body, said, filter.q);
  }

  async device(id: string, { viewer, said }: PageRequest): Promise<HttpResponse> {
    const view = await readSubjectView(this.#parts, 'device', id);
    if (!view) {
      return notFoundPage(
        viewer,
        `Neither an event nor DPS knows the device ${id.slice(0, 128)}.`,
        '/fleet/devices',
        'Devices',
      );
    }
    const body = deviceBody(view, viewer, {
      areCredentialsServed: this.#parts.credentialsIssuer.areServed,
      closesHubs: this.#parts.closesHubs,
    });
    return page(`Device ${view.subject.id}`, 'devices', viewer, body, said);
  }

  async batch(id: string, { viewer, said }: PageRequest): Promise<HttpResponse> {
    const view = await readSubjectView(this.#parts, 'batch', id);
    if (!view) {
      return notFoundPage(
        viewer,
        `Neither an event nor DPS knows the batch ${id.slice(0, 128)}.`,
        '/fleet/batches',
        'Batches',
      );
    }
    const written = view.events[0]?.subject ?? view.subject.id;
    const [newest, devices] = await Promise.all([
      this.#parts.auditStore.newest(),
      this.#parts.fleetLists.page('device', { batch: written }, { size: devicesOfBatch, reads: 1 }),
    ]);
    const body = batchBody({
      view,
      viewer,
      tally: tallyOf(newest?.summary, view.subject.id),
      auditedAt: newest?.run.finishedAt,
      devices: devices.entries,
      hasMore: devices.continuation !== undefined,
      closesHubs: this.#parts.closesHubs,
    });
    return page(`Batch ${view.subject.id}`, 'batches', viewer, body, said);
  }

  async rejected({ query, viewer, said }: PageRequest): Promise<HttpResponse> {
    onlyParameters(query, ['reason', 'source', 'since', 'until', 'continuation', 'done']);
    const filter: RejectedFilter = {
      reason: query.get('reason') || undefined,
      source: query.get('source') || undefined,
      since: dateOf('since', query.get('since')),
      until: endOfDay(dateOf('until', query.get('until'))),
    };
    const continuation = query.get('continuation') ?? undefined;
    const isFirst = continuation === undefined;
    const [found, counts] = await Promise.all([
      this.#parts.rejectedEvents.storedPage(filter, rejectionsPerPage, continuation),
      isFirst ? this.#parts.status.rejectedOfLastDay() : undefined,
    ]);
    const body = rejectedListBody({
      filter,
      rejections: found.rejections,
      counts,
      isFirst,
      continuation: found.continuation,
      pageSize: rejectionsPerPage,
      viewer,
    });
    return page('Rejected events', 'rejected', viewer, body, said);
  }

  async rejectedEvent(
    key: string,
    request: PageRequest,
    attempt?: RejectedEventContent['attempt'],
  ): Promise<HttpResponse> {
    const { query, viewer, said } = request;
    const seen = new Date(query.get('seen') ?? '');
    const rejection = Number.isNaN(seen.getTime())
      ? await this.#parts.rejectedEvents.find(key)
      : await this.#parts.rejectedEvents.read(key, seen);
    if (!rejection) {
      return notFoundPage(
        viewer,
        'There is no such rejected event. It may have been purged.',
        '/fleet/rejected',
        'Rejected events',
      );
    }
    const body = rejectedEventBody({ rejection, viewer, ...(attempt ? { attempt } : {}) });
    const answer = page('Rejected event', 'rejected', viewer, body, said);
    return attempt ? { ...answer, status: 400 } : answer;
  }

  async status({ viewer, said }: PageRequest): Promise<HttpResponse> {
    return page('Status', 'status', viewer, statusBody(await this.#parts.status.read(), viewer), said);
  }
}
