import type { AuditRun, Scanned, StateCounts } from './audit-run.ts';
import type { ReportedFinding } from './finding.ts';

/** A run as callers see it. */
export interface AuditReport {
  readonly id: string;
  readonly status: AuditRun['status'];
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly operations: number;
  readonly scanned: Scanned;
  readonly states: StateCounts;
  readonly findings: readonly ReportedFinding[];
}

export function reportOf(run: AuditRun, findings: readonly ReportedFinding[]): AuditReport {
  const { id, status, startedAt, finishedAt, operations, scanned, states } = run;
  const finished = finishedAt === undefined ? {} : { finishedAt };
  return { id, status, startedAt, ...finished, operations, scanned, states, findings };
}

const columns = ['severity', 'code', 'subject', 'detail', 'firstSeen', 'lastSeen'] as const;

/** RFC 4180. */
export function reportCsv(findings: readonly ReportedFinding[]): string {
  const lines = findings.map((finding) => columns.map((column) => csvField(finding[column])).join(','));
  return [columns.join(','), ...lines, ''].join('\r\n');
}

/** A field that a spreadsheet would take for a formula is made a text. */
function csvField(value: string): string {
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
