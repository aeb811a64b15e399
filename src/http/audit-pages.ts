import type { Changes } from '../audit/audit-run.ts';
import type { AuditStore, RunLine } from '../audit/audit-store.ts';
import { findingCodes } from '../audit/finding.ts';
import { changeOf, isOpenAt, type StoredFinding, weekBefore } from '../audit/finding-changes.ts';
import type { FindingFilter, FindingStore } from '../audit/finding-store.ts';
import { summedUpFindings } from '../audit/finding-tally.ts';
import { emptySummary } from '../fleet/fleet-summary.ts';
import { byteOrderMark, csvText, delimiterOf, delimiterRule } from '../tools/csv.ts';
import { html } from './html.ts';
import { csvHeaders, type HttpResponse } from './http-response.ts';
import { oneOf, onlyParameters, PageError } from './page-parameters.ts';
import { type PageRequest, page } from './page-response.ts';
import { findingsBody, type Show, shows } from './pages/findings-page.ts';
import type { Section } from './pages/layout.ts';
import { overviewBody } from './pages/overview-page.ts';
import { address, empty, pageHead } from './pages/parts.ts';
import type { Viewer } from './sign-in.ts';

export interface AuditPagesParts {
  readonly auditStore: AuditStore;
  readonly findings: FindingStore;
}

const findingsPerPage = 50;
const runsOfTrend = 30;
const findingsPerFile = 20_000;

/** What audits found: the overview, and the findings behind it. */
export class AuditPages {
  readonly #parts: AuditPagesParts;

  constructor(parts: AuditPagesParts) {
    this.#parts = parts;
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
