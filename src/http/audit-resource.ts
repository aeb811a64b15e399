import { type AuditReport, reportCsv, reportOf } from '../audit/audit-report.ts';
import type { AuditRun } from '../audit/audit-run.ts';
import type { AuditRunner } from '../audit/audit-runner.ts';
import { AuditRunningError } from '../audit/audit-running-error.ts';
import { type AuditStore, isRunsContinuation } from '../audit/audit-store.ts';
import { type Answer, badContinuation, json, notFound, problem } from './answer.ts';
import { auditPage } from './audit-page.ts';
import { pageHeaders } from './html.ts';
import { originOf, preferredRepresentation, type Request } from './request.ts';

const runsPerPage = 50;

/** `GET /api/audit`, and the runs behind it. */
export class AuditResource {
  readonly #store: AuditStore;
  readonly #runner: AuditRunner;

  constructor(store: AuditStore, runner: AuditRunner) {
    this.#store = store;
    this.#runner = runner;
  }

  async newest(request: Request): Promise<Answer> {
    const run = await this.#store.newestFinished();
    if (!run) return notFound('No audit has finished yet. POST /api/audit/runs starts one.');
    return this.#represent(run, request);
  }

  async show(id: string, request: Request): Promise<Answer> {
    const run = await this.#store.read(id);
    return run ? this.#represent(run, request) : notFound(`There is no audit run ${id}.`);
  }

  async list(continuation: string | null): Promise<Answer> {
    if (continuation && !isRunsContinuation(continuation)) {
      return badContinuation();
    }
    const page = await this.#store.list(runsPerPage, continuation || undefined);
    const runs = page.runs.map((run) => {
      const { findings: _, ...summary } = reportOf(run, []);
      return summary;
    });
    return json(200, {
      runs,
      ...(page.continuation === undefined ? {} : { continuation: page.continuation }),
    });
  }

  async start(request: Request): Promise<Answer> {
    const urlOf = (id: string) => `${originOf(request)}/api/audit/runs/${id}`;
    try {
      const run = await this.#runner.start();
      return json(202, { id: run.id, status: run.status, url: urlOf(run.id) }, { location: urlOf(run.id) });
    } catch (error) {
      if (!(error instanceof AuditRunningError)) throw error;
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

  async #represent(run: AuditRun, request: Request): Promise<Answer> {
    const representation = preferredRepresentation(request, ['json', 'html', 'csv']);
    if (representation === undefined)
      return problem({ status: 406, detail: 'The report comes as application/json, text/html or text/csv.' });
    const report: AuditReport = reportOf(run, await this.#store.findingsOf(run));
    if (representation === 'html') return { status: 200, headers: pageHeaders, body: auditPage(report) };
    if (representation === 'json') return json(200, report);
    const headers = {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': `attachment; filename="audit-${run.id}.csv"`,
    };
    return { status: 200, headers, body: reportCsv(report.findings) };
  }
}
