import type { Changes } from '../../audit/audit-run.ts';
import type { RunLine } from '../../audit/audit-store.ts';
import type { FleetSummary } from '../../fleet/fleet-summary.ts';
import { html, type Markup } from '../html.ts';
import { severityOf } from './finding-order.ts';
import { counted } from './numbers.ts';

export interface OverviewContent {
  readonly run: RunLine;
  readonly summary: FleetSummary;
  /** Finished runs, the newest first; the shown one is among them. */
  readonly runs: readonly RunLine[];
  readonly changes: Changes | undefined;
  /** An audit is in progress. */
  readonly running?: boolean;
}

export function severityWord(code: string): string {
  const severity = severityOf(code);
  return severity === 'critical' ? 'Critical' : 'Warning';
}

export function lookedAt({ scanned, operations, id }: RunLine): Markup {
  return html`<p class="small dim">Run ${id} looked at ${counted(scanned.individualEnrollments, 'individual enrollment')}, ${counted(scanned.enrollmentGroups, 'enrollment group')} and ${counted(scanned.groupRegistrations + scanned.individualStates, 'registration')}, with ${counted(operations, 'DPS operation')}.</p>`;
}

export function zeros(byCode: Changes['byCode'] | undefined): Record<string, number> {
  return Object.fromEntries(Object.keys(byCode ?? {}).map((code) => [code, 0]));
}

export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
