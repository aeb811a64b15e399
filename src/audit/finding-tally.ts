import type { FindingCounts } from './audit-run.ts';
import {
  type Finding,
  type FindingCode,
  isOfUnknown,
  type ReportedFinding,
  type Severity,
} from './finding.ts';

/** A run writes so many findings of one code one by one; of more, the report has one row with their count. */
export const mostSpelledOut = 1_000;

/** What a run found of one code, counted whether it was written or not. */
export interface FindingTally {
  readonly critical: number;
  readonly warning: number;
  readonly info: number;
  /** The subject that was found first. */
  readonly example: string;
}

export type FindingTallies = Readonly<Partial<Record<FindingCode, FindingTally>>>;

/** The findings of a code that are too many to be listed one by one. */
export interface SummedUp {
  readonly severity: Severity;
  readonly count: number;
  readonly example: string;
}

/** One row of a report that stands for many findings. */
export interface SummedUpFinding extends ReportedFinding {
  readonly count: number;
  readonly example: string;
  /** Where they are listed, or as many of them as are: a path with its query. */
  readonly list: string;
}

export function tallied(tallies: FindingTallies, { code, severity, subject }: Finding): FindingTallies {
  const before = tallies[code] ?? { critical: 0, warning: 0, info: 0, example: subject };
  return { ...tallies, [code]: { ...before, [severity]: before[severity] + 1 } };
}

export function combinedTallies(left: FindingTallies, right: FindingTallies): FindingTallies {
  const sum: { -readonly [Code in FindingCode]?: FindingTally } = { ...left };
  for (const [code, { critical, warning, info, example }] of Object.entries(right) as [
    FindingCode,
    FindingTally,
  ][]) {
    const before = sum[code] ?? { critical: 0, warning: 0, info: 0, example };
    sum[code] = {
      critical: before.critical + critical,
      warning: before.warning + warning,
      info: before.info + info,
      example: before.example,
    };
  }
  return sum;
}

export function countOf(tally: FindingTally | undefined): number {
  return tally ? tally.critical + tally.warning + tally.info : 0;
}

export function isSummedUp(tallies: FindingTallies, code: FindingCode): boolean {
  return countOf(tallies[code]) > mostSpelledOut;
}

/** `written` are the counts of the codes whose findings all have a row. */
export function withSums(written: FindingCounts, tallies: FindingTallies): FindingCounts {
  const counts = { ...written, byCode: { ...written.byCode } };
  const summedUp: Record<string, SummedUp> = {};
  for (const [code, tally] of Object.entries(tallies)) {
    const count = countOf(tally);
    if (count <= mostSpelledOut) {
      continue;
    }
    counts.open += count;
    counts.critical += tally.critical;
    counts.warning += tally.warning;
    counts.info += tally.info;
    counts.byCode[code] = count;
    const severity = tally.critical > 0 ? 'critical' : tally.warning > 0 ? 'warning' : 'info';
    summedUp[code] = { severity, count, example: tally.example };
  }
  return Object.keys(summedUp).length > 0 ? { ...counts, summedUp } : counts;
}

export function summedUpFindings(
  counts: FindingCounts | undefined,
  seen: (code: string) => { readonly firstSeen: string; readonly lastSeen: string },
): SummedUpFinding[] {
  return Object.entries(counts?.summedUp ?? {}).map(([code, { severity, count, example }]) => {
    const list = `/api/devices?finding=${code}`;
    const listed = isOfUnknown(code as FindingCode)
      ? `GET ${list} lists the first of them: no event has named them, so the ledger has no list of all.`
      : `GET ${list} lists the devices among them.`;
    return {
      severity,
      code: code as FindingCode,
      subject: `${count} subjects`,
      detail: `The audit found this ${count} times, for example for ${example}: too many to be spelled out. ${listed}`,
      ...seen(code),
      count,
      example,
      list,
    };
  });
}
