import { randomUUID } from 'node:crypto';
import { emptySummary, type FleetSummary } from '../fleet/fleet-summary.ts';
import { deleteRows } from '../storage/delete-rows.ts';
import { joinText, splitText } from '../storage/long-text.ts';
import { type Change, odata, type Row, RowConflictError, type Table } from '../storage/tables.ts';
import { type AuditCounts, noCounts, sumOf } from './audit-counts.ts';
import { AuditLease } from './audit-lease.ts';
import type { Unit } from './audit-plan.ts';
import type { AuditRun } from './audit-run.ts';

export const runsPartition = 'run';
const newestRow = { partition: 'newest', row: 'finished' };
/** Behind the digits that rows of runs are named by. */
export const summaryPrefix = 'summary!';
export const workerPrefix = 'worker!';
const runsFilter = odata`PartitionKey eq ${runsPartition} and RowKey lt ${':'}`;
const conflictsToLose = 50;
const endOfTime = 9_999_999_999_999;

/** What a list shows of a run: a page of runs is one query, and small. */
export type RunLine = Pick<
  AuditRun,
  'id' | 'number' | 'status' | 'startedAt' | 'operations' | 'scanned' | 'states'
> & {
  readonly [K in 'finishedAt' | 'oldestState' | 'counts' | 'changes' | 'detail']: AuditRun[K] | undefined;
};

export interface NewestRun {
  readonly run: RunLine;
  readonly summary: FleetSummary;
}

/** What a worker works on, as it was read; `etag`: whoever else works on it has the newer one. */
export interface WorkerState {
  /** Undefined: it has to take one. */
  readonly unit: Unit | undefined;
  /** Undefined: the worker has no row yet. */
  readonly etag: string | undefined;
}

/** A decision about a run and, where a worker made it, what that worker works on then. */
export interface Decision {
  readonly run: AuditRun;
  readonly unit?: Unit | undefined;
}

/** The message was delivered twice: the other delivery works for this worker now. */
export class WorkerOvertakenError extends Error {
  override name = 'WorkerOvertakenError';

  constructor(runId: string, worker: number) {
    super(`Another delivery works for worker ${worker} of the audit ${runId}.`);
  }
}

/** Runs, and where their workers stand. */
export class AuditStore {
  readonly #runs: Table;
  readonly #lease: AuditLease;

  constructor(runsTable: Table) {
    this.#runs = runsTable;
    this.#lease = new AuditLease(runsTable);
  }

  /** Only one run at a time: throws an AuditRunningError with the one that is in progress. */
  async begin(run: AuditRun, now: Date): Promise<void> {
    await this.#releaseEnded();
    const abandoned = await this.#lease.take(run.id, now);
    if (abandoned !== undefined) {
      await this.#abandon(abandoned, now);
    }
    const rowKey = rowKeyOf(run.id);
    await this.#runs.transact(runsPartition, [{ kind: 'upsert', rowKey, values: valuesOf(run) }]);
  }

  /** A run whose end can be read is in nobody's way, even if it has not given its lease back. */
  async #releaseEnded(): Promise<void> {
    const holder = await this.#lease.holder();
    const run = holder === undefined ? undefined : await this.read(holder);
    if (run && run.status !== 'running') {
      await this.#lease.release(run.id);
    }
  }

  /** A run that another one took the lease from has come to nothing, and the list of runs says so. */
  async #abandon(runId: string, now: Date): Promise<void> {
    const detail = 'It gave no sign of life for ten minutes, and another run began.';
    await this.change(runId, (run) =>
      run.status === 'running'
        ? { run: { ...run, status: 'failed', finishedAt: now.toISOString(), detail } }
        : undefined,
    );
  }

  /**
   * Changes a run by what it is then, whoever else changes it meanwhile; undefined, and nothing is changed, where that is
   * not to be. With `by`, that worker's work is exchanged in the same transaction.
   * @throws WorkerOvertakenError
   */
  async change(
    runId: string,
    decide: (run: AuditRun) => Decision | undefined,
    by?: { readonly worker: number; readonly etag: string | undefined },
  ): Promise<{ readonly run: AuditRun; readonly etag: string | undefined } | undefined> {
    for (let lost = 0; ; lost++) {
      const [row, summary] = await Promise.all([this.#row(runId), this.readSummary(runId)]);
      const before = row && { ...runOf(row), summary: summary ?? emptySummary };
      const decided = before && decide(before);
      if (!row || !before || !decided) {
        return undefined;
      }
      const write = randomUUID();
      try {
        const etags = await this.#runs.transact(
          runsPartition,
          changesOf(row.etag, before, decided, by, write),
        );
        return { run: decided.run, etag: by && etags[0] };
      } catch (error) {
        if (!(error instanceof RowConflictError) || lost >= conflictsToLose) {
          throw error;
        }
        const worker = by && (await this.#workerRow(runId, by.worker));
        const written = by ? worker : await this.#row(runId);
        if (written?.values.write === write) {
          // Others may have changed the run since.
          return { run: (await this.readWhole(runId)) ?? decided.run, etag: worker?.etag };
        }
        if (by && worker?.etag !== by.etag) {
          throw new WorkerOvertakenError(runId, by.worker);
        }
      }
    }
  }

  async readWorker(runId: string, worker: number): Promise<WorkerState> {
    const row = await this.#workerRow(runId, worker);
    const text = row && joinText('unit', row.values);
    return { unit: text ? unitOf(text) : undefined, etag: row?.etag };
  }

  /**
   * After a step. Undefined, and nothing is saved: another run has begun, since this one gave no sign of life.
   * @throws WorkerOvertakenError
   */
  async saveUnit(
    runId: string,
    worker: number,
    unit: Unit,
    { etag, now }: { readonly etag: string; readonly now: Date },
  ): Promise<string | undefined> {
    if (!(await this.isInProgress(runId, now))) {
      return undefined;
    }
    const write = randomUUID();
    try {
      const values = workerValues(unit, write);
      return await this.#runs.replace(runsPartition, workerKeyOf(runId, worker), values, etag);
    } catch (error) {
      if (!(error instanceof RowConflictError)) {
        throw error;
      }
      const row = await this.#workerRow(runId, worker);
      if (row?.values.write !== write) {
        throw new WorkerOvertakenError(runId, worker);
      }
      return row.etag;
    }
  }

  /** False: the run has ended, or another one has begun. */
  async isInProgress(runId: string, now: Date): Promise<boolean> {
    return this.#lease.renew(runId, now);
  }

  /** The run has ended: the next one may begin at once, and no worker has anything to go on with. */
  async release(runId: string): Promise<void> {
    await this.#lease.release(runId);
    const prefix = `${workerPrefix}${rowKeyOf(runId)}`;
    const filter = odata`PartitionKey eq ${runsPartition} and RowKey ge ${prefix} and RowKey lt ${`${prefix}~`}`;
    await deleteRows(this.#runs, filter);
  }

  /** Without its summary. */
  async read(id: string): Promise<AuditRun | undefined> {
    const row = await this.#row(id);
    return row && runOf(row);
  }

  /** With what the units have counted that are under way. */
  async readLive(id: string): Promise<AuditRun | undefined> {
    const run = await this.read(id);
    if (run?.status !== 'running') {
      return run;
    }
    const work = await Promise.all(run.workers.map((worker) => this.readWorker(id, worker)));
    const counts = work.reduce<AuditCounts>((sum, { unit }) => (unit ? sumOf(sum, unit.counts) : sum), run);
    return { ...run, ...counts };
  }

  async readLine(id: string): Promise<RunLine | undefined> {
    const run = await this.readLive(id);
    return run && lineOf(run);
  }

  async readSummary(id: string): Promise<FleetSummary | undefined> {
    const row = await this.#runs.get(runsPartition, `${summaryPrefix}${rowKeyOf(id)}`);
    const text = row && joinText('summary', row.values);
    return text === undefined ? undefined : (JSON.parse(text) as FleetSummary);
  }

  async readWhole(id: string): Promise<AuditRun | undefined> {
    const [run, summary = emptySummary] = await Promise.all([this.read(id), this.readSummary(id)]);
    return run && { ...run, summary };
  }

  /** Newest first. */
  async list(size: number, continuation?: string): Promise<{ runs: RunLine[]; continuation?: string }> {
    const after = continuation === undefined ? '' : odata` and RowKey gt ${continuation}`;
    const page = await this.#runs.page(`${runsFilter}${after}`, {
      size: size + 1,
      select: ['PartitionKey', 'RowKey', 'line'],
    });
    const found = page.rows.slice(0, size);
    const last = found.at(-1);
    return {
      runs: found.map(({ values }) => JSON.parse(String(values.line)) as RunLine),
      ...(page.rows.length > size && last ? { continuation: last.rowKey } : {}),
    };
  }

  /** The newest runs that have finished, the newest first: one query, most often. */
  async finished(most: number, before?: string): Promise<RunLine[]> {
    const found: RunLine[] = [];
    let continuation = before;
    do {
      const page: { runs: RunLine[]; continuation?: string } = await this.list(most + 5, continuation);
      found.push(...page.runs.filter(({ status }) => status === 'finished'));
      continuation = page.continuation;
    } while (continuation !== undefined && found.length < most);
    return found.slice(0, most);
  }

  /** So that a list begins with this run: to be handed on as where it begins. */
  placeBefore(id: string): string {
    return String(Number(rowKeyOf(id)) - 1).padStart(13, '0');
  }

  async newestFinished(): Promise<AuditRun | undefined> {
    const [line] = await this.finished(1);
    return line && this.read(line.id);
  }

  /** The newest finished run with its summary, by one read: lists and pages begin with it. */
  async newest(): Promise<NewestRun | undefined> {
    const row = await this.#runs.get(newestRow.partition, newestRow.row);
    const text = row && joinText('newest', row.values);
    return text === undefined ? undefined : (JSON.parse(text) as NewestRun);
  }

  async saveNewest(run: AuditRun): Promise<void> {
    const newest: NewestRun = { run: lineOf(run), summary: run.summary };
    await this.#runs.upsert(newestRow.partition, newestRow.row, splitText('newest', JSON.stringify(newest)));
  }

  #row(id: string): Promise<Row | undefined> {
    return this.#runs.get(runsPartition, rowKeyOf(id));
  }

  #workerRow(runId: string, worker: number): Promise<Row | undefined> {
    return this.#runs.get(runsPartition, workerKeyOf(runId, worker));
  }
}

/** The worker's row first: its etag is asked for. */
function changesOf(
  etag: string,
  before: AuditRun,
  { run, unit }: Decision,
  by: { readonly worker: number; readonly etag: string | undefined } | undefined,
  write: string,
): Change[] {
  const rowKey = rowKeyOf(run.id);
  const changes: Change[] = [];
  if (by) {
    const worker = { rowKey: workerKeyOf(run.id, by.worker), values: workerValues(unit, write) };
    changes.push(
      by.etag === undefined ? { kind: 'insert', ...worker } : { kind: 'replace', ...worker, etag: by.etag },
    );
  }
  changes.push({ kind: 'replace', rowKey, values: { ...valuesOf(run), write }, etag });
  if (run.summary !== before.summary) {
    const values = splitText('summary', JSON.stringify(run.summary));
    changes.push({ kind: 'upsert', rowKey: `${summaryPrefix}${rowKey}`, values });
  }
  return changes;
}

/** Whether a text is a continuation that a page of runs was answered with. */
export function isRunsContinuation(text: string): boolean {
  return /^\d{13}(?:-[\w-]{1,64})?$/.test(text);
}

/** The newest come first. */
export function runRowKey(started: Date): string {
  return String(endOfTime - started.getTime()).padStart(13, '0');
}

function rowKeyOf(id: string): string {
  const [date = '', time = ''] = id.split('T');
  const iso = `${date}T${time.replace(/^(\d\d)-(\d\d)-(\d\d)-(\d{3})Z$/, '$1:$2:$3.$4Z')}`;
  const started = new Date(iso);
  return Number.isNaN(started.getTime()) ? 'none' : runRowKey(started);
}

function workerKeyOf(runId: string, worker: number): string {
  return `${workerPrefix}${rowKeyOf(runId)}!${worker}`;
}

/**
 * Without a unit it has to take one. By `write` a write is known again whose response was lost, and which was sent once
 * more: it then finds its own row.
 */
function workerValues(unit: Unit | undefined, write: string): Record<string, string> {
  return { ...(unit ? unitValues(unit) : { unit: '' }), write };
}

/** Most units count no devices: their summary stays the empty one. */
function unitValues({ counts, ...unit }: Unit): Record<string, string> {
  const { summary, ...others } = counts;
  const stored = summary === emptySummary ? others : counts;
  return splitText('unit', JSON.stringify({ ...unit, counts: stored }));
}

function unitOf(text: string): Unit {
  const unit = JSON.parse(text) as Unit;
  return { ...unit, counts: { ...noCounts, ...unit.counts } };
}

function valuesOf({ summary: _, ...run }: AuditRun) {
  return {
    status: run.status,
    startedAt: run.startedAt,
    line: JSON.stringify(lineOf(run)),
    ...splitText('run', JSON.stringify(run)),
  };
}

function lineOf(run: Omit<AuditRun, 'summary'>): RunLine {
  const { id, number, status, startedAt, finishedAt, operations } = run;
  const { scanned, states, oldestState, counts, changes, detail } = run;
  return {
    ...{ id, number, status, startedAt, finishedAt, operations },
    ...{ scanned, states, oldestState, counts, changes, detail },
  };
}

function runOf(row: Row): AuditRun {
  return { summary: emptySummary, ...JSON.parse(joinText('run', row.values) ?? '{}') };
}
