import { compareText } from '../events/compare-text.ts';
import type { Snapshot } from './registration-snapshot.ts';

/**
 * In which order to ask for the registration states that a run has not asked for yet, since there may be no time for all:
 * in turns one of a device that has not been seen assigned, the newest first, and one that was asked for longest ago.
 */
export function checksFor(rows: readonly Snapshot[], runStartedAt: string): Snapshot[] {
  const due = rows.filter((row) => !isCheckedSince(row, runStartedAt));
  const pending = due
    .filter(({ status }) => status !== 'assigned')
    .sort((left, right) => compareText(right.lastUpdated ?? '~', left.lastUpdated ?? '~'));
  const longestAgo = [...due].sort((left, right) => compareText(left.checkedAt ?? '', right.checkedAt ?? ''));
  const inTurns = longestAgo.flatMap((row, turn) => [...pending.slice(turn, turn + 1), row]);
  return [...new Set(inTurns)];
}

export function isCheckedSince({ checkedAt }: Snapshot, time: string): boolean {
  return checkedAt !== undefined && checkedAt >= time;
}
