import type { Changes } from '../../audit/audit-run.ts';
import { type FindingCode, findingCodes } from '../../audit/finding.ts';

/** Codes that wake somebody. */
const criticalCodes = new Set(['registered-but-unknown', 'held-yet-open']);

export function severityOf(code: string): 'critical' | 'warning' {
  return criticalCodes.has(code) ? 'critical' : 'warning';
}

/** The gravest first, then what grew most, then what is most. */
export function codesByWeight(
  byCode: Readonly<Record<string, number>>,
  changes: Changes | undefined,
): string[] {
  const grew = (code: string) => changes?.byCode[code]?.new ?? 0;
  const tieBreak = (code: string) => (severityOf(code) === 'critical' ? 0 : 1);
  const place = (code: string) => findingCodes.indexOf(code as FindingCode);
  return Object.keys(byCode).sort(
    (left, right) =>
      tieBreak(left) - tieBreak(right) ||
      grew(right) - grew(left) ||
      (byCode[right] ?? 0) - (byCode[left] ?? 0) ||
      place(left) - place(right),
  );
}
