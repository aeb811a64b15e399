import type { Changes } from '../audit/audit-run.ts';
import type { AuditStore, RunLine } from '../audit/audit-store.ts';
import { findingCodes } from '../audit/finding.ts';
import { changeOf, isOpenAt, type StoredFinding, weekBefore } from '../audit/finding-changes.ts';
import type { FindingFilter, FindingStore } from '../audit/finding-store.ts';
import { summedUpFindings } from '../audit/finding-tally.ts';
import type { Ledger } from '../enrollment/ledger/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import type { RejectedEvents, RejectedFilter } from '../enrollment/rejected/rejected-events.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { FilterError, readFilter } from '../fleet/fleet-filter.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import type { FleetLists } from '../fleet/fleet-list.ts';
import { emptySummary } from '../fleet/fleet-summary.ts';
import { byteOrderMark, csvText, delimiterOf, delimiterRule } from '../tools/csv.ts';
import type { CredentialsIssuer } from './credentials-resource.ts';
import type { DpsViewParts } from './dps-view.ts';
import type { FleetResource } from './fleet-resource.ts';
import { html, type Markup } from './html.ts';
import { csvHeaders, type HttpResponse } from './http-response.ts';
import { batchBody, tallyOf } from './pages/batch-page.ts';
import { deviceBody } from './pages/device-page.ts';
import { findingsBody, type Show, shows } from './pages/findings-page.ts';
import { pageHeaders, pageText, type Section } from './pages/layout.ts';
import { listBody } from './pages/list-pages.ts';
import { overviewBody } from './pages/overview-page.ts';
import { address, empty, pageHead } from './pages/parts.ts';
import { problemPage } from './pages/problem-page.ts';
import { type RejectedEventContent, rejectedEventBody, rejectedListBody } from './pages/rejected-pages.ts';
import { statusBody } from './pages/status-page.ts';
import type { Viewer } from './sign-in.ts';
import type { StatusResource } from './status-resource.ts';
import { readSubjectView } from './subject-view.ts';

export interface FleetPagesParts extends DpsViewParts {
  readonly auditStore: AuditStore;
  readonly findings: FindingStore;
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

/** What a page is asked for, and by whom. */
export interface PageRequest {
  readonly query: URLSearchParams;
  readonly viewer: Viewer;
  /** Said on top of the page: what became of a form. */
  readonly said?: Markup;
}

const devicesPerPage = 50;
const findingsPerPage = 50;
const rejectionsPerPage = 50;
const devicesOfBatch = 20;
const runsOfTrend = 30;
const findingsPerFile = 20_000;

/** A page cannot be shown as it was asked for. */
class PageError extends Error {
  override name = 'PageError';
}

/** The pages under `/fleet`: each reads what it shows, and has it put into words. */
export class FleetPages {
  readonly #parts: FleetPagesParts;

  constructor(parts: FleetPagesParts) {
    this.#parts = parts;
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

  async overview({ query, viewer, said }: PageRequest): Promise<HttpResponse> {
    onlyParameters(query, ['run', 'since', 'done']);
    const content = await this.#run(query);
    if (!content) {
      return this.#noAudit(viewer, 'overview');
    }
    return page('Overview', 'overview', viewer, overviewBody(content), said);
  }

  async findings({ query, viewer, said }: PageRequest): Promise<HttpResponse> {
    onlyParameters(query, ['run', 'since', 'show', 'code', 'continuation', 'format', 'delimiter']);
    const show = oneOf<Show>('show', query.get('show') ?? 'open', shows);
    const wanted = query.get('code');
    const code = wanted === null ? undefined : oneOf('code', wanted, findingCodes);
    const content = await this.#run(query, false);
    if (!content) {
      return this.#noAudit(viewer, 'findings');
    }
    const { run, changes } = content;
    const filter: FindingFilter = {
      code,
      resolvedAfter: changes?.since.finishedAt ?? run.finishedAt ?? run.startedAt,
      fits: fitting(show, run, changes),
    };
    const sums = show === 'open' && !query.has('continuation') ? sumsOf(run, code) : [];
    if (query.get('format') === 'csv') {
      return this.#findingsFile(query, run, filter, sums);
    }
    const { findings, continuation } = await this.#parts.findings.page(
      filter,
      findingsPerPage,
      query.get('continuation') ?? undefined,
    );
    const next =
      continuation === undefined
        ? undefined
        : address('/fleet/findings', { run: run.id, since: changes?.since.id, show, code, continuation });
    const body = findingsBody({
      run,
      changes,
      show,
      code,
      findings: [...sums, ...findings],
      isFirst: !query.has('continuation'),
      next,
      pageSize: findingsPerPage,
      batchIds: new Set(Object.keys(content.summary.batches).map((name) => name.toLowerCase())),
    });
    return page('Findings', 'findings', viewer, body, said);
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

  /** The run that an address names, or the newest, with what it is compared with: three reads at most, most often. */
  async #run(query: URLSearchParams, withTrend = true) {
    const { auditStore } = this.#parts;
    const wanted = query.get('run') || undefined;
    const [newest, finished] = await Promise.all([
      auditStore.newest(),
      withTrend || wanted !== undefined || query.get('since') ? auditStore.finished(runsOfTrend) : [],
    ]);
    if (!newest) {
      return undefined;
    }
    const run =
      wanted === undefined || wanted === newest.run.id ? newest.run : await auditStore.readLine(wanted);
    if (!run) {
      throw new PageError(`There is no audit run ${wanted?.slice(0, 60)}.`);
    }
    const summary =
      run.id === newest.run.id ? newest.summary : ((await auditStore.readSummary(run.id)) ?? emptySummary);
    const runs = finished.some(({ id }) => id === run.id) ? finished : [...finished, run];
    const changes = await this.#changes(run, runs, query.get('since') || undefined);
    return { run, summary, runs, changes };
  }

  /** Against the run of a week before they were counted when the run ended; against another one, now. */
  async #changes(
    run: RunLine,
    runs: readonly RunLine[],
    since: string | undefined,
  ): Promise<Changes | undefined> {
    if (since === undefined || since === run.changes?.since.id) {
      return run.changes;
    }
    const { auditStore } = this.#parts;
    const compared = runs.find(({ id }) => id === since) ?? (await auditStore.readLine(since));
    if (compared?.finishedAt === undefined || run.finishedAt === undefined) {
      throw new PageError(`There is no finished audit run ${since.slice(0, 60)} to compare with.`);
    }
    if (compared.finishedAt >= run.finishedAt) {
      return weekBefore(run, runs) ? run.changes : undefined;
    }
    return this.#parts.findings.countChanges(
      { id: compared.id, finishedAt: compared.finishedAt },
      run.finishedAt,
      {
        before: compared.counts,
        now: run.counts,
      },
    );
  }

  async #findingsFile(
    query: URLSearchParams,
    run: RunLine,
    filter: FindingFilter,
    sums: readonly StoredFinding[],
  ): Promise<HttpResponse> {
    const delimiter = delimiterOf(query.get('delimiter'));
    if (delimiter === undefined) {
      throw new PageError(delimiterRule);
    }
    const { findings } = await this.#parts.findings.page(filter, findingsPerFile, undefined);
    const columns = ['severity', 'code', 'subject', 'detail', 'firstSeen', 'lastSeen', 'resolvedAt'] as const;
    const rows = [...sums, ...findings].map((finding: StoredFinding) =>
      columns.map((column) => finding[column]),
    );
    return {
      status: 200,
      headers: csvHeaders(`findings-${run.id}.csv`),
      body: `${byteOrderMark}${csvText([columns, ...rows], delimiter)}`,
    };
  }

  async #noAudit(viewer: Viewer, section: Section): Promise<HttpResponse> {
    const running = (await this.#parts.auditStore.list(1)).runs[0]?.status === 'running';
    const body = html`${pageHead(section === 'overview' ? 'Provisioning' : 'Findings', undefined)}${empty(
      'overview',
      running ? 'The first audit is in progress' : 'No audit yet',
      running
        ? 'This page fills when it has finished.'
        : 'An audit compares what the events say with DPS, every night or when it is asked for. Until then, lists and pages of devices show what the events say.',
      html`<a class="button" href="/fleet/status">Status</a>`,
    )}`;
    return page('Overview', section, viewer, body);
  }
}

function page(
  title: string,
  section: Section,
  viewer: Viewer,
  body: Markup,
  said?: Markup,
  query?: string,
): HttpResponse {
  const whole = said ? html`${said}${body}` : body;
  return {
    status: 200,
    headers: pageHeaders,
    body: pageText({ title, section, viewer, body: whole, ...(query === undefined ? {} : { query }) }),
  };
}

export function notFoundPage(viewer: Viewer, line: string, href: string, name: string): HttpResponse {
  return problemPage(404, 'Not found', line, {
    viewer,
    icon: 'search',
    more: html`<a class="button" href="${href}">${name}</a>`,
  });
}

/** Of each code that has too many, the one row that stands for them. */
function sumsOf(run: RunLine, code: string | undefined): StoredFinding[] {
  const at = run.finishedAt ?? run.startedAt;
  return summedUpFindings(run.counts, () => ({ firstSeen: at, lastSeen: at })).filter(
    (each) => code === undefined || each.code === code,
  );
}

function fitting(
  show: Show,
  run: RunLine,
  changes: Changes | undefined,
): (finding: StoredFinding) => boolean {
  const until = run.finishedAt ?? run.startedAt;
  const isSpelledOut = ({ code }: StoredFinding) => run.counts?.summedUp?.[code] === undefined;
  if (show === 'open' || !changes) {
    return (finding) => isSpelledOut(finding) && isOpenAt(finding, until);
  }
  const from = changes.since.finishedAt;
  return (finding) => {
    const change = isSpelledOut(finding) ? changeOf(finding, from, until) : undefined;
    switch (show) {
      case 'new':
        return change === 'new' || change === 'cameBack';
      case 'back':
        return change === 'cameBack';
      case 'still':
        return change === 'stillOpen';
      default:
        return change === 'resolved';
    }
  };
}

function onlyParameters(query: URLSearchParams, names: readonly string[]): void {
  for (const name of query.keys()) {
    if (!names.includes(name)) {
      throw new PageError(
        `There is no parameter "${name.slice(0, 60)}" here. There are: ${names.join(', ')}.`,
      );
    }
  }
}

function oneOf<T extends string>(name: string, value: string, values: readonly T[]): T {
  const found = values.find((each) => each === value);
  if (found === undefined) {
    throw new PageError(`"${name}" cannot be "${value.slice(0, 60)}". It can be: ${values.join(', ')}.`);
  }
  return found;
}

function dateOf(name: string, value: string | null): string | undefined {
  if (value === null || value === '') {
    return undefined;
  }
  if (Number.isNaN(Date.parse(value))) {
    throw new PageError(`"${name}" must be a date, such as 2026-11-23.`);
  }
  return new Date(value).toISOString();
}

/** A day is meant whole. */
function endOfDay(iso: string | undefined): string | undefined {
  return iso?.replace('T00:00:00.000Z', 'T23:59:59.999Z');
}
