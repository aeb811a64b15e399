import { compareText } from '../events/compare-text.ts';
import { deleteRowKeys, deleteRows } from '../storage/delete-rows.ts';
import { rowsOfPartition } from '../storage/rows-of-keys.ts';
import { type Change, odata, type Row, type Table, type Values } from '../storage/tables.ts';
import type { AuditRun, Changes, FindingCounts } from './audit-run.ts';
import { type Finding, type FindingCode, type ReportedFinding, severities } from './finding.ts';
import {
  ChangeCounter,
  isOpenAt,
  OpenCounter,
  type StoredFinding,
  storedFinding,
} from './finding-changes.ts';
import { isSummedUp, type SummedUpFinding, summedUpFindings } from './finding-tally.ts';

const changesPerTransaction = 100;
const endOfTexts = '~';
const open = 'o!';
/** By when they were resolved. */
const resolved = 'r!';
/** By code and subject: when its finding was resolved last. */
const formerly = 'f!';

/** Which findings to read: those that are open, and those that were resolved after a time. */
export interface FindingFilter {
  readonly code?: FindingCode | undefined;
  /** ISO 8601. */
  readonly resolvedAfter: string;
  readonly fits: (finding: StoredFinding) => boolean;
}

/**
 * Findings over all runs. Open ones are in a partition for each code; those that are resolved move to one in the order of
 * that time, so that a report reads what is open and what was resolved since, and nothing older. Beside them is noted of
 * each subject when its finding was resolved last: for one that comes back.
 */
export class FindingStore {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Keeps since when findings are known; those that had been resolved begin anew. A step may do it twice. */
  async note(run: AuditRun, findings: readonly Finding[], now: Date): Promise<void> {
    const byCode = Map.groupBy(findings, ({ code }) => code);
    await Promise.all([...byCode].map(([code, some]) => this.#noteOfCode(run, code, some, now)));
  }

  async #noteOfCode(
    run: AuditRun,
    code: FindingCode,
    findings: readonly Finding[],
    now: Date,
  ): Promise<void> {
    const bySubject = new Map(findings.map((finding) => [subjectKey(finding.subject), finding]));
    const keys = [...bySubject.keys()];
    const known = await rowsOfPartition(this.#table, openPartition(code), keys);
    const unknown = keys.filter((key) => !known.has(key)).map((key) => `${code}!${key}`);
    const before = await rowsOfPartition(this.#table, formerly, unknown);
    const rows = [...bySubject].map(([key, finding]) => {
      const its = { open: known.get(key), before: before.get(`${code}!${key}`) };
      const values = openValues(run, finding, its, now);
      // Its other rows go: in a step that is repeated, once more.
      const isBack = its.before !== undefined || its.open?.values.runId === run.id;
      return { rowKey: key, values, isBack: isBack && values.cameBackFrom !== undefined };
    });
    await this.#upsert(openPartition(code), rows);
    const back = rows.filter(({ isBack }) => isBack);
    await this.#delete(
      resolved,
      back.map(({ rowKey, values }) => `${values.cameBackFrom}!${code}!${rowKey}`),
    );
    await this.#delete(
      formerly,
      back.map(({ rowKey }) => `${code}!${rowKey}`),
    );
  }

  /**
   * Open findings that this run has not met again are resolved at `time`; these are they. Of a code that has more than are
   * written, nobody can tell.
   */
  async *resolveOthers(run: AuditRun, time: string): AsyncGenerator<StoredFinding> {
    let some: Row[] = [];
    for await (const row of this.#table.rows(`${openFilter()}${odata` and runId ne ${run.id}`}`)) {
      const isOfOther = some[0] !== undefined && some[0].partitionKey !== row.partitionKey;
      if (some.length === changesPerTransaction || isOfOther) {
        yield* await this.#resolve(some, time);
        some = [];
      }
      if (!isSummedUp(run.tallies, storedFinding(row).code)) {
        some.push(row);
      }
    }
    yield* await this.#resolve(some, time);
  }

  /** Of one code. The open rows go last: what stops before that is done again. */
  async #resolve(rows: readonly Row[], time: string): Promise<StoredFinding[]> {
    const [first] = rows;
    if (!first) {
      return [];
    }
    const { code } = storedFinding(first);
    const ended = rows.map((row) => ({ ...row, values: { ...row.values, resolvedAt: time } as Values }));
    await this.#upsert(
      resolved,
      ended.map(({ rowKey, values }) => ({ rowKey: `${time}!${code}!${rowKey}`, values })),
    );
    await this.#upsert(
      formerly,
      ended.map(({ rowKey, values: { firstSeen } }) => ({
        rowKey: `${code}!${rowKey}`,
        values: { resolvedAt: time, firstSeen },
      })),
    );
    await this.#delete(
      first.partitionKey,
      rows.map(({ rowKey }) => rowKey),
    );
    return ended.map(storedFinding);
  }

  /** Of the codes whose findings all have a row. */
  async countOpen(run: AuditRun, until: string): Promise<OpenCounter> {
    const counter = new OpenCounter(run.tallies);
    const fits = (finding: StoredFinding) => isOpenAt(finding, until);
    for await (const { finding } of this.#read({ resolvedAfter: until, fits })) {
      counter.add(finding);
    }
    return counter;
  }

  async countChanges(
    since: Changes['since'],
    until: string,
    sums: { readonly before: FindingCounts | undefined; readonly now: FindingCounts | undefined },
  ): Promise<Changes> {
    const counter = new ChangeCounter(since.finishedAt, until, sums);
    for await (const finding of this.since(since.finishedAt)) {
      counter.add(finding);
    }
    return counter.result(since);
  }

  /** Those that are open, and those that were resolved after a time. */
  async *since(resolvedAfter: string): AsyncGenerator<StoredFinding> {
    for await (const { finding } of this.#read({ resolvedAfter, fits: () => true })) {
      yield finding;
    }
  }

  /** A page of findings, by code and subject; `continuation` as a page before gave it. */
  async page(
    filter: FindingFilter,
    size: number,
    continuation: string | undefined,
  ): Promise<{ readonly findings: readonly StoredFinding[]; readonly continuation?: string }> {
    const findings: StoredFinding[] = [];
    let last = '';
    for await (const { finding, place } of this.#read(filter, continuation)) {
      if (findings.length === size) {
        return { findings, continuation: last };
      }
      findings.push(finding);
      last = place;
    }
    return { findings };
  }

  /** What a finished run found: the most severe first. Not many: more than a thousand of a code are one row. */
  async findingsOf(run: AuditRun): Promise<(ReportedFinding | SummedUpFinding)[]> {
    const until = run.finishedAt ?? new Date().toISOString();
    const found: ReportedFinding[] = [];
    const firstSeen = new Map<string, string>();
    const fits = (finding: StoredFinding) => isOpenAt(finding, until);
    for await (const { finding } of this.#read({ resolvedAfter: until, fits })) {
      if (run.counts?.summedUp?.[finding.code] === undefined) {
        found.push(reportedFinding(finding));
      } else if (finding.firstSeen < (firstSeen.get(finding.code) ?? endOfTexts)) {
        firstSeen.set(finding.code, finding.firstSeen);
      }
    }
    const summedUp = summedUpFindings(run.counts, (code) => ({
      firstSeen: firstSeen.get(code) ?? until,
      lastSeen: until,
    }));
    return [...found, ...summedUp].sort(bySeverity);
  }

  /** Those that were resolved, or seen last, before `before`. */
  async purge(before: Date): Promise<void> {
    const time = before.toISOString();
    await deleteRows(this.#table, odata`PartitionKey eq ${resolved} and RowKey lt ${time}`);
    await deleteRows(this.#table, odata`PartitionKey eq ${formerly} and resolvedAt lt ${time}`);
    await deleteRows(this.#table, `${openFilter()}${odata` and lastSeen lt ${time}`}`);
  }

  /** The open ones by code and subject, and then those that were resolved, by that time. */
  async *#read(
    { code, resolvedAfter, fits }: FindingFilter,
    continuation?: string,
  ): AsyncGenerator<{ readonly finding: StoredFinding; readonly place: string }> {
    const [partition = '', rowKey = ''] = Buffer.from(continuation ?? '', 'base64url')
      .toString()
      .split('\n');
    const filters: string[] = [];
    if (partition !== resolved) {
      const after =
        partition === ''
          ? ''
          : odata` and (PartitionKey gt ${partition} or (PartitionKey eq ${partition} and RowKey gt ${rowKey}))`;
      filters.push(
        `${code === undefined ? openFilter() : odata`PartitionKey eq ${openPartition(code)}`}${after}`,
      );
    }
    // Behind all rows of just that time.
    const from = partition === resolved ? rowKey : `${resolvedAfter}"`;
    const ofCode = code === undefined ? '' : odata` and code eq ${code}`;
    filters.push(`${odata`PartitionKey eq ${resolved} and RowKey gt ${from}`}${ofCode}`);
    for (const filter of filters) {
      for await (const row of this.#table.rows(filter)) {
        const finding = storedFinding(row);
        if (fits(finding)) {
          yield { finding, place: placeOf(row) };
        }
      }
    }
  }

  async #upsert(
    partition: string,
    rows: readonly { readonly rowKey: string; readonly values: Readonly<Record<string, unknown>> }[],
  ): Promise<void> {
    await this.#table.transactAll(
      partition,
      rows.map(({ rowKey, values }): Change => ({ kind: 'upsert', rowKey, values: values as Values })),
    );
  }

  #delete(partition: string, rowKeys: readonly string[]): Promise<void> {
    return deleteRowKeys(this.#table, partition, rowKeys);
  }
}

function bySeverity(left: ReportedFinding, right: ReportedFinding): number {
  const tieBreak = severities.indexOf(left.severity) - severities.indexOf(right.severity);
  return tieBreak || compareText(left.code, right.code) || compareText(left.subject, right.subject);
}

function openValues(
  run: AuditRun,
  { severity, code, subject, detail }: Finding,
  known: { readonly open: Row | undefined; readonly before: Row | undefined },
  now: Date,
): Values {
  const {
    firstSeen = now.toISOString(),
    cameBackFrom,
    earlierFirstSeen,
  } = (known.open?.values ?? {}) as Values;
  const before = known.before?.values as Values | undefined;
  return {
    ...{ severity, code, subject, detail, firstSeen },
    cameBackFrom: before?.resolvedAt ?? cameBackFrom,
    earlierFirstSeen: before?.firstSeen ?? earlierFirstSeen,
    lastSeen: now.toISOString(),
    runId: run.id,
  };
}

function reportedFinding(finding: StoredFinding): ReportedFinding {
  const { severity, code, subject, detail, firstSeen, lastSeen } = finding;
  return { severity, code, subject, detail, firstSeen, lastSeen };
}

function subjectKey(subject: string): string {
  return subject.replaceAll(/[/\\#?]/g, '_');
}

function openPartition(code: FindingCode): string {
  return `${open}${code}`;
}

function openFilter(): string {
  return odata`PartitionKey gt ${open} and PartitionKey lt ${'o"'}`;
}

function placeOf({ partitionKey, rowKey }: Row): string {
  return Buffer.from(`${partitionKey}\n${rowKey}`).toString('base64url');
}
