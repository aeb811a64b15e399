import { compareText } from '../events/compare-text.ts';
import { sha256 } from '../events/event-identity.ts';
import { emptySummary, type FleetSummary } from '../fleet/fleet-summary.ts';
import { joinText, splitText } from '../storage/long-text.ts';
import {
  type Change,
  odata,
  type Row,
  RowConflictError,
  type Table,
  type Values,
} from '../storage/tables.ts';
import { type AuditRun, type Changes, type FindingCounts, notCountedYet } from './audit-run.ts';
import { AuditRunningError } from './audit-running-error.ts';
import { type Finding, type ReportedFinding, severities } from './finding.ts';
import {
  ChangeCounter,
  isOpenAt,
  OpenCounter,
  type StoredFinding,
  storedFinding,
} from './finding-changes.ts';
import { isSummedUp, type SummedUpFinding, summedUpFindings } from './finding-tally.ts';

export const runsPartition = 'run';
const newestRow = { partition: 'newest', row: 'finished' };
/** Behind the digits that rows of runs are named by. */
export const summaryPrefix = 'summary!';
const runsFilter = odata`PartitionKey eq ${runsPartition} and RowKey lt ${':'}`;
const lease = { partition: 'lease', row: 'audit' };
/** A run whose instance has died is taken over, or gives way, after this time without a sign of life. */
const leaseInMs = 10 * 60_000;
const renewLeaseEveryMs = 60_000;
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

/** Runs with their checkpoints, and findings over all runs. */
export class AuditStore {
  readonly #runs: Table;
  readonly #findings: Table;
  #summarySaved: FleetSummary | undefined;
  #leaseRenewed = { runId: '', at: 0 };

  constructor(runsTable: Table, findingsTable: Table) {
    this.#runs = runsTable;
    this.#findings = findingsTable;
  }

  /** Only one run at a time: throws an AuditRunningError with the one that is going on. */
  async begin(run: AuditRun, now: Date): Promise<void> {
    const held = await this.#runs.get(lease.partition, lease.row);
    if (held && Number(held.values.until) > now.getTime()) {
      throw new AuditRunningError(String(held.values.runId));
    }
    const values = { runId: run.id, until: String(now.getTime() + leaseInMs) };
    try {
      if (held) {
        await this.#runs.replace(lease.partition, lease.row, values, held.etag);
      } else {
        await this.#runs.insert(lease.partition, lease.row, values);
      }
    } catch (error) {
      if (!(error instanceof RowConflictError)) {
        throw error;
      }
      const other = await this.#runs.get(lease.partition, lease.row);
      throw new AuditRunningError(String(other?.values.runId));
    }
    await this.#abandon(held && String(held.values.runId), now);
    await this.#write(run);
  }

  /** A run that this one took the lease from has come to nothing, and the list of runs says so. */
  async #abandon(runId: string | undefined, now: Date): Promise<void> {
    const run = runId === undefined ? undefined : await this.readWhole(runId);
    if (run?.status === 'running') {
      const detail = 'It gave no sign of life for ten minutes, and another run began.';
      await this.#write({ ...run, status: 'failed', finishedAt: now.toISOString(), detail });
    }
  }

  /** False, and nothing is saved: another run has begun, since this one gave no sign of life. */
  async save(run: AuditRun, now: Date): Promise<boolean> {
    if (run.status === 'running' && this.#hasLease(run.id, now)) {
      await this.#write(run);
      return true;
    }
    const held = await this.#runs.get(lease.partition, lease.row);
    if (held && held.values.runId !== run.id && Number(held.values.until) > now.getTime()) {
      return false;
    }
    await this.#write(run);
    const until = run.status === 'running' ? now.getTime() + leaseInMs : 0;
    await this.#runs.upsert(lease.partition, lease.row, { runId: run.id, until: String(until) });
    this.#leaseRenewed = { runId: run.id, at: now.getTime() };
    return true;
  }

  /** It is not renewed with every page: others have to wait for ten minutes from when it was. */
  #hasLease(runId: string, now: Date): boolean {
    const sinceMs = now.getTime() - this.#leaseRenewed.at;
    return this.#leaseRenewed.runId === runId && sinceMs >= 0 && sinceMs < renewLeaseEveryMs;
  }

  /** A page that was counted and its checkpoint are one transaction. */
  async #write(run: AuditRun): Promise<void> {
    const rowKey = rowKeyOf(run.id);
    const changes: Change[] = [{ kind: 'upsert', rowKey, values: valuesOf(run) }];
    if (run.summary !== this.#summarySaved) {
      const values = splitText('summary', JSON.stringify(run.summary));
      changes.push({ kind: 'upsert', rowKey: `${summaryPrefix}${rowKey}`, values });
    }
    await this.#runs.transact(runsPartition, changes);
    this.#summarySaved = run.summary;
  }

  /** Without its summary. */
  async read(id: string): Promise<AuditRun | undefined> {
    const row = await this.#runs.get(runsPartition, rowKeyOf(id));
    return row ? runOf(row) : undefined;
  }

  async readLine(id: string): Promise<RunLine | undefined> {
    const run = await this.read(id);
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
      runs: await Promise.all(found.map((row) => this.#lineOf(row))),
      ...(page.rows.length > size && last ? { continuation: last.rowKey } : {}),
    };
  }

  /** Of a run that an older version of the app made. */
  async #lineOf(row: Row): Promise<RunLine> {
    if (typeof row.values.line === 'string') {
      return JSON.parse(row.values.line) as RunLine;
    }
    const whole = await this.#runs.get(runsPartition, row.rowKey);
    return lineOf(runOf(whole ?? row));
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

  /** Keeps since when a finding is known; one that had been resolved begins anew. */
  async note(run: AuditRun, finding: Finding, now: Date): Promise<void> {
    const { partition, row } = findingKeys(finding);
    const known = await this.#findings.get(partition, row);
    const isOpen = known !== undefined && known.values.resolvedAt === undefined;
    const values = {
      severity: finding.severity,
      code: finding.code,
      subject: finding.subject,
      detail: finding.detail,
      firstSeen: isOpen ? String(known.values.firstSeen) : now.toISOString(),
      ...(known && cameBack(known)),
      lastSeen: now.toISOString(),
      runId: run.id,
    };
    await this.#findings.upsert(partition, row, values);
  }

  /**
   * Open findings that this run has not met again are resolved; these are they. Of a code that has more than are written,
   * nobody can tell.
   */
  async *resolveOthers(run: AuditRun, now: Date): AsyncGenerator<StoredFinding> {
    const filter = odata`runId ne ${run.id}`;
    for await (const row of this.#findings.rows(filter)) {
      const { code } = storedFinding(row);
      if (row.values.resolvedAt !== undefined || isSummedUp(run.tallies, code)) {
        continue;
      }
      const values = Object.fromEntries(
        Object.entries(row.values).map(([name, value]) => [name, String(value)]),
      );
      await this.#findings.upsert(row.partitionKey, row.rowKey, { ...values, resolvedAt: now.toISOString() });
      yield storedFinding(row);
    }
  }

  /** All findings that ever were, one by one. */
  async *everyFinding(): AsyncGenerator<StoredFinding> {
    for await (const row of this.#findings.rows('')) {
      yield storedFinding(row);
    }
  }

  /** Of the codes whose findings all have a row. */
  async countOpen(run: AuditRun, until: string): Promise<OpenCounter> {
    const counter = new OpenCounter(run.tallies);
    for await (const finding of this.everyFinding()) {
      if (isOpenAt(finding, until)) {
        counter.add(finding);
      }
    }
    return counter;
  }

  /** A page of findings in the order of their rows; `continuation` as a page before gave it. */
  async pageOfFindings(
    filter: { readonly code?: string | undefined; readonly fits: (finding: StoredFinding) => boolean },
    size: number,
    continuation: string | undefined,
  ): Promise<{ readonly findings: readonly StoredFinding[]; readonly continuation?: string }> {
    const [partition = '', row = ''] = Buffer.from(continuation ?? '', 'base64url')
      .toString()
      .split('\n');
    const after =
      partition === ''
        ? "PartitionKey ge ''"
        : odata`(PartitionKey gt ${partition} or (PartitionKey eq ${partition} and RowKey gt ${row}))`;
    const code = filter.code === undefined ? '' : odata` and code eq ${filter.code}`;
    const findings: StoredFinding[] = [];
    let last: Row | undefined;
    for await (const each of this.#findings.rows(`${after}${code}`)) {
      const finding = storedFinding(each);
      if (!filter.fits(finding)) {
        continue;
      }
      if (findings.length === size && last) {
        return {
          findings,
          continuation: Buffer.from(`${last.partitionKey}\n${last.rowKey}`).toString('base64url'),
        };
      }
      findings.push(finding);
      last = each;
    }
    return { findings };
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

  async countChanges(
    since: Changes['since'],
    until: string,
    sums: { readonly before: FindingCounts | undefined; readonly now: FindingCounts | undefined },
  ): Promise<Changes> {
    const counter = new ChangeCounter(since.finishedAt, until, sums);
    for await (const finding of this.everyFinding()) {
      counter.add(finding);
    }
    return counter.result(since);
  }

  /** What a finished run found: the most severe first. */
  async findingsOf(run: AuditRun): Promise<(ReportedFinding | SummedUpFinding)[]> {
    const until = run.finishedAt ?? new Date().toISOString();
    const found: ReportedFinding[] = [];
    const firstSeen = new Map<string, string>();
    for await (const finding of this.everyFinding()) {
      if (!isOpenAt(finding, until)) {
        continue;
      }
      if (run.counts?.summedUp?.[finding.code] === undefined) {
        found.push(reportedFinding(finding));
      } else if (finding.firstSeen < (firstSeen.get(finding.code) ?? '~')) {
        firstSeen.set(finding.code, finding.firstSeen);
      }
    }
    const summedUp = summedUpFindings(run.counts, (code) => ({
      firstSeen: firstSeen.get(code) ?? until,
      lastSeen: until,
    }));
    return [...found, ...summedUp].sort(bySeverity);
  }
}

function reportedFinding(finding: StoredFinding): ReportedFinding {
  const { severity, code, subject, detail, firstSeen, lastSeen } = finding;
  return { severity, code, subject, detail, firstSeen, lastSeen };
}

/** Of a finding that is noted again: when it had been resolved before, and since when it was known then. */
function cameBack({ values }: Row): Values {
  const { resolvedAt, firstSeen, cameBackFrom, earlierFirstSeen } = values;
  if (resolvedAt !== undefined) {
    return { cameBackFrom: String(resolvedAt), earlierFirstSeen: String(firstSeen) };
  }
  if (cameBackFrom === undefined) {
    return {};
  }
  return { cameBackFrom: String(cameBackFrom), earlierFirstSeen: String(earlierFirstSeen) };
}

export function bySeverity(left: ReportedFinding, right: ReportedFinding): number {
  const tieBreak = severities.indexOf(left.severity) - severities.indexOf(right.severity);
  return tieBreak || compareText(left.code, right.code) || compareText(left.subject, right.subject);
}

function findingKeys({ code, subject }: Finding): { readonly partition: string; readonly row: string } {
  return { partition: sha256(subject).slice(0, 2), row: `${code}!${subject.replaceAll(/[/\\#?]/g, '_')}` };
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
  return { number: 0, ...notCountedYet, ...JSON.parse(joinText('run', row.values) ?? '{}') };
}
