import { type FleetSummary, firstUseBins, type Tallies } from '../fleet/fleet-summary.ts';
import { byteOrderMark, csvText, type Delimiter } from '../tools/csv.ts';
import type { AuditRun, Changes } from './audit-run.ts';
import type { RunLine } from './audit-store.ts';
import type { ReportedFinding } from './finding.ts';
import type { StoredFinding } from './finding-changes.ts';
import type { SummedUpFinding } from './finding-tally.ts';

/** A run as callers see it. */
export interface AuditReport extends RunDocument {
  readonly findings: readonly (ReportedFinding | SummedUpFinding)[];
  /** Of a run that counted devices. */
  readonly summary?: SummaryDocument;
  /** Where there is an earlier run to compare with. */
  readonly changes?: ChangesDocument;
  /** The counts of the last runs up to this one, the oldest first. */
  readonly trend?: readonly RunDocument[];
}

export type RunDocument = ReturnType<typeof runDocument>;
export type SummaryDocument = ReturnType<typeof summaryDocument>;

export interface ChangesDocument {
  readonly since: Changes['since'];
  readonly new: readonly StoredFinding[];
  readonly cameBack: readonly StoredFinding[];
  readonly resolved: readonly StoredFinding[];
  readonly stillOpen: readonly StoredFinding[];
  readonly counts: Omit<Changes, 'since'>;
}

/** What a list of runs shows of each. */
export function runDocument(run: RunLine | AuditRun) {
  const { id, status, startedAt, finishedAt, operations, scanned, states, counts, changes, detail } = run;
  const { oldestState } = run;
  return {
    id,
    status,
    startedAt,
    ...(finishedAt === undefined ? {} : { finishedAt }),
    operations,
    scanned,
    states,
    ...(oldestState === undefined ? {} : { oldestState }),
    ...(counts ? { counts } : {}),
    ...(changes ? { changed: changes } : {}),
    ...(detail === undefined ? {} : { detail }),
  };
}

export function summaryDocument(summary: FleetSummary) {
  const { all, scrapped, products, batches, groups, hubs, labels, firstUse, recentFirstUse, unlisted } =
    summary;
  const bins = [...firstUseBins, null];
  return {
    devices: all.devices,
    scrapped,
    byState: all.conditions,
    byFinding: all.findings,
    byProduct: tallies(products),
    byBatch: tallies(batches),
    byEnrollmentGroup: tallies(groups),
    byHub: tallies(hubs),
    byLabel: Object.fromEntries(Object.entries(labels).map(([name, values]) => [name, tallies(values)])),
    timeToFirstRegistration: bins.map((withinDays, bin) => ({
      withinDays,
      devices: firstUse[bin] ?? 0,
      ofLast30Days: recentFirstUse[bin] ?? 0,
    })),
    unlisted,
  };
}

function tallies(named: Tallies) {
  return Object.fromEntries(
    Object.entries(named).map(([name, { devices, conditions, findings }]) => [
      name,
      { devices, byState: conditions, byFinding: findings },
    ]),
  );
}

const columns = ['severity', 'code', 'subject', 'detail', 'firstSeen', 'lastSeen'] as const;

/** As a file that a spreadsheet opens. */
export function reportCsv(findings: readonly ReportedFinding[], delimiter: Delimiter = ','): string {
  const rows = findings.map((finding) => columns.map((column) => finding[column]));
  return `${byteOrderMark}${csvText([columns, ...rows], delimiter)}`;
}
