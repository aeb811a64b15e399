import { compareText } from '../events/compare-text.ts';
import { sha256 } from '../events/event-identity.ts';
import { joinText, splitText } from '../storage/long-text.ts';
import { odata, type Row, RowConflictError, type Table } from '../storage/tables.ts';
import { type AuditRun, notCountedYet } from './audit-run.ts';
import { AuditRunningError } from './audit-running-error.ts';
import { type Finding, type ReportedFinding, severities } from './finding.ts';

const runs = 'run';
const lease = { partition: 'lease', row: 'audit' };
/** A run whose instance has died is taken over, or gives way, after this time without a sign of life. */
const leaseInMs = 10 * 60_000;
const endOfTime = 9_999_999_999_999;

/** Runs with their checkpoints, and findings over all runs. */
export class AuditStore {
  readonly #runs: Table;
  readonly #findings: Table;

  constructor(runsTable: Table, findingsTable: Table) {
    this.#runs = runsTable;
    this.#findings = findingsTable;
  }

  /** Only one run at a time: throws an AuditRunningError with the one that is going on. */
  async begin(run: AuditRun, now: Date): Promise<void> {
    const held = await this.#runs.get(lease.partition, lease.row);
    if (held && Number(held.values.until) > now.getTime())
      throw new AuditRunningError(String(held.values.runId));
    const values = { runId: run.id, until: String(now.getTime() + leaseInMs) };
    try {
      if (held) await this.#runs.replace(lease.partition, lease.row, values, held.etag);
      else await this.#runs.insert(lease.partition, lease.row, values);
    } catch (error) {
      if (!(error instanceof RowConflictError)) throw error;
      const other = await this.#runs.get(lease.partition, lease.row);
      throw new AuditRunningError(String(other?.values.runId));
    }
    await this.#runs.upsert(runs, rowKeyOf(run.id), valuesOf(run));
  }

  async save(run: AuditRun, now: Date): Promise<void> {
    await this.#runs.upsert(runs, rowKeyOf(run.id), valuesOf(run));
    const until = run.status === 'running' ? now.getTime() + leaseInMs : 0;
    await this.#runs.upsert(lease.partition, lease.row, { runId: run.id, until: String(until) });
  }

  async read(id: string): Promise<AuditRun | undefined> {
    const rowKey = rowKeyOf(id);
    const row = rowKey === undefined ? undefined : await this.#runs.get(runs, rowKey);
    return row ? runOf(row) : undefined;
  }

  /** Newest first. */
  async list(size: number, continuation?: string): Promise<{ runs: AuditRun[]; continuation?: string }> {
    const after = continuation === undefined ? '' : odata` and RowKey gt ${continuation}`;
    const page = await this.#runs.page(`${odata`PartitionKey eq ${runs}`}${after}`, { size: size + 1 });
    const found = page.rows.slice(0, size);
    const last = found.at(-1);
    return {
      runs: found.map(runOf),
      ...(page.rows.length > size && last ? { continuation: last.rowKey } : {}),
    };
  }

  async newestFinished(): Promise<AuditRun | undefined> {
    for await (const row of this.#runs.rows(odata`PartitionKey eq ${runs}`)) {
      const run = runOf(row);
      if (run.status === 'finished') return run;
    }
    return undefined;
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
      lastSeen: now.toISOString(),
      runId: run.id,
    };
    await this.#findings.upsert(partition, row, values);
  }

  /** Open findings that this run has not met again are resolved. */
  async resolveOthers(run: AuditRun, now: Date): Promise<void> {
    const filter = odata`runId ne ${run.id}`;
    for await (const row of this.#findings.rows(filter)) {
      if (row.values.resolvedAt !== undefined) continue;
      const values = Object.fromEntries(
        Object.entries(row.values).map(([name, value]) => [name, String(value)]),
      );
      await this.#findings.upsert(row.partitionKey, row.rowKey, { ...values, resolvedAt: now.toISOString() });
    }
  }

  /** What a finished run found: the most severe first. */
  async findingsOf(run: AuditRun): Promise<ReportedFinding[]> {
    const until = run.finishedAt ?? new Date().toISOString();
    const found: ReportedFinding[] = [];
    for await (const { values } of this.#findings.rows('')) {
      const resolvedAt = values.resolvedAt === undefined ? undefined : String(values.resolvedAt);
      const isOf = String(values.firstSeen) <= until && (resolvedAt === undefined || resolvedAt > until);
      if (isOf) found.push(findingOf(values));
    }
    return found.sort(bySeverity);
  }
}

function findingOf(values: Row['values']): ReportedFinding {
  const { severity, code, subject, detail, firstSeen, lastSeen } = values;
  return { severity, code, subject, detail, firstSeen, lastSeen } as unknown as ReportedFinding;
}

function bySeverity(left: ReportedFinding, right: ReportedFinding): number {
  const rank = severities.indexOf(left.severity) - severities.indexOf(right.severity);
  return rank || compareText(left.code, right.code) || compareText(left.subject, right.subject);
}

function findingKeys({ code, subject }: Finding): { readonly partition: string; readonly row: string } {
  return { partition: sha256(subject).slice(0, 2), row: `${code}!${subject.replaceAll(/[/\\#?]/g, '_')}` };
}

/** Whether a text is a continuation that a page of runs was answered with. */
export function isRunsContinuation(text: string): boolean {
  return /^\d{13}(?:-[\w-]{1,64})?$/.test(text);
}

function rowKeyOf(id: string): string {
  const [date = '', time = ''] = id.split('T');
  const iso = `${date}T${time.replace(/^(\d\d)-(\d\d)-(\d\d)-(\d{3})Z$/, '$1:$2:$3.$4Z')}`;
  const started = Date.parse(iso);
  return Number.isNaN(started) ? 'none' : String(endOfTime - started).padStart(13, '0');
}

function valuesOf(run: AuditRun) {
  return { status: run.status, startedAt: run.startedAt, ...splitText('run', JSON.stringify(run)) };
}

function runOf(row: Row): AuditRun {
  return { number: 0, ...notCountedYet, ...JSON.parse(joinText('run', row.values) ?? '{}') };
}
