import { compareText } from '../events/compare-text.ts';
import type { Snapshot } from './registration-snapshot.ts';

/**
 * Which registration states to ask for when there are more than the budget allows: half of it for devices that have
 * not been seen assigned, newest first, half for those that were asked for longest ago.
 */
export function checksFor(rows: readonly Snapshot[], budget: number): Snapshot[] {
  if (rows.length <= budget) return [...rows];
  const pending = rows
    .filter(({ status }) => status !== 'assigned')
    .sort((left, right) => compareText(right.lastUpdated ?? '~', left.lastUpdated ?? '~'))
    .slice(0, Math.ceil(budget / 2));
  const chosen = new Set(pending);
  const longestAgo = rows
    .filter((row) => !chosen.has(row))
    .sort((left, right) => compareText(left.checkedAt ?? '', right.checkedAt ?? ''))
    .slice(0, budget - pending.length);
  return [...pending, ...longestAgo];
}
