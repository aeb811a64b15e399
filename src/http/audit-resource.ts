import {
  type AuditReport,
  type ChangesDocument,
  reportCsv,
  runDocument,
  summaryDocument,
} from '../audit/audit-report.ts';
import type { AuditRun, Changes, FindingCounts } from '../audit/audit-run.ts';
import type { AuditRunner } from '../audit/audit-runner.ts';
import { AuditRunningError } from '../audit/audit-running-error.ts';
import { type AuditStore, isRunsContinuation } from '../audit/audit-store.ts';
import { type Change, ChangeCounter, type StoredFinding, weekBefore } from '../audit/finding-changes.ts';
import type { FindingStore } from '../audit/finding-store.ts';
import { delimiterOf, delimiterRule } from '../tools/csv.ts';
import { badContinuation, csvHeaders, type HttpResponse, json, notFound, problem } from './http-response.ts';
import { originOf, preferredRepresentation, type Request } from './request.ts';

const runsPerPage = 50;
const runsOfTrend = 30;

/** `GET /api/audit`, and the runs behind it. */
export class AuditResource {
  readonly #store: AuditStore;
  readonly #findings: FindingStore;
  readonly #runner: AuditRunner;
  readonly #page: (runId: string, request: Request) => Promise<HttpResponse>;

  constructor(
    store: AuditStore,
    findings: FindingStore,
    runner: AuditRunner,
    page: (runId: string, request: Request) => Promise<HttpResponse>,
  ) {
    this.#store = store;
    this.#findings = findings;
    this.#runner = runner;
    this.#page = page;
  }

  async newest(request: Request): Promise<HttpResponse> {
    const run = await this.#store.newestFinished();
    if (!run) {
      return notFound('No audit has finished yet. POST /api/audit/runs starts one.');
    }
    return this.#represent(run, request);
  }

  async show(id: string, request: Request): Promise<HttpResponse> {
    const run = await this.#store.readLive(id);
    return run ? this.#represent(run, request) : notFound(`There is no audit run ${id}.`);
  }

  async list(continuation: string | null): Promise<HttpResponse> {
    if (continuation && !isRunsContinuation(continuation)) {
      return badContinuation();
    }
    const page = await this.#store.list(runsPerPage, continuation || undefined);
    return json(200, {
      runs: page.runs.map(runDocument),
      ...(page.continuation === undefined ? {} : { continuation: page.continuation }),
    });
  }

  async start(request: Request): Promise<HttpResponse> {
    const urlOf = (id: string) => `${originOf(request)}/api/audit/runs/${id}`;
    try {
      const run = await this.#runner.start();
      return json(202, { id: run.id, status: run.status, url: urlOf(run.id) }, { location: urlOf(run.id) });
    } catch (error) {
      if (!(error instanceof AuditRunningError)) {
        throw error;
      }
      const url = urlOf(error.runId);
      return problem({
        status: 409,
        type: 'audit-running',
        title: 'An audit is running',
        detail: `${error.message} See ${url}.`,
        headers: { location: url },
        more: { run: url },
      });
    }
  }

  async #represent(run: AuditRun, request: Request): Promise<HttpResponse> {
    const representation = preferredRepresentation(request, ['json', 'html', 'csv']);
    if (representation === undefined) {
      return problem({ status: 406, detail: 'The report comes as application/json, text/html or text/csv.' });
    }
    if (representation === 'html') {
      return this.#page(run.id, request);
    }
    const findings = await this.#findings.findingsOf(run);
    if (representation === 'csv') {
      const delimiter = delimiterOf(request.query.get('delimiter'));
      if (delimiter === undefined) {
        return problem({ status: 400, detail: delimiterRule });
      }
      return {
        status: 200,
        headers: csvHeaders(`audit-${run.id}.csv`),
        body: reportCsv(findings, delimiter),
      };
    }
    const since = request.query.get('since');
    const [summary, finished] = await Promise.all([
      this.#store.readSummary(run.id),
      this.#store.finished(runsOfTrend, this.#store.placeBefore(run.id)),
    ]);
    const compared = since === null ? weekBefore(run, finished) : await this.#store.read(since);
    if (since !== null && compared?.finishedAt === undefined) {
      return problem({ status: 400, detail: `since names no finished audit run: ${since.slice(0, 100)}` });
    }
    const changes = compared?.finishedAt
      ? await this.#changes(run, { id: compared.id, finishedAt: compared.finishedAt }, compared.counts)
      : undefined;
    const report: AuditReport = {
      ...runDocument(run),
      findings,
      ...(summary ? { summary: summaryDocument(summary) } : {}),
      ...(changes ? { changes } : {}),
      trend: finished.map(runDocument).reverse(),
    };
    return json(200, report);
  }

  async #changes(
    run: AuditRun,
    since: Changes['since'],
    before: FindingCounts | undefined,
  ): Promise<ChangesDocument> {
    const until = run.finishedAt ?? run.startedAt;
    const counter = new ChangeCounter(since.finishedAt, until, { before, now: run.counts });
    const lists: Record<Change, StoredFinding[]> = { new: [], cameBack: [], resolved: [], stillOpen: [] };
    for await (const finding of this.#findings.since(since.finishedAt)) {
      const change = counter.add(finding);
      if (change) {
        lists[change].push(finding);
      }
    }
    const { since: _, ...counts } = counter.result(since);
    return { since, ...lists, counts };
  }
}
