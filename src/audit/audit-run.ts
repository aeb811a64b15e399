import { type AuditCounts, noCounts } from './audit-counts.ts';
import type { Stage } from './audit-plan.ts';
import type { SummedUp } from './finding-tally.ts';
import type { Lookups } from './lookups.ts';

/** One audit, with what its units of work that are done have counted. */
export interface AuditRun extends AuditCounts {
  /** The start, as `2026-11-23T04-00-00-000Z`. */
  readonly id: string;
  /** One more than the newest run's that had finished when it began. */
  readonly number: number;
  readonly status: 'running' | 'finished' | 'failed';
  readonly startedAt: string;
  readonly finishedAt?: string;
  /** The stages come one after the other; the units of one are worked on at once, by workers. */
  readonly stage: Stage;
  /** The unit of the stage that is taken next. */
  readonly nextUnit: number;
  /** Numbers of the workers that work on this stage. */
  readonly workers: readonly number[];
  /** Those of them whose first message may not have been sent yet. */
  readonly toStart: readonly number[];
  /** What units have been granted, and have used or not given back. */
  readonly granted: Lookups;
  /** Device ids that divide the ledger, by what the run before saw of it. */
  readonly divisions: readonly string[];
  /** Groups that DPS has no more, with when that was seen. Their records are kept for a while. */
  readonly goneGroups: Readonly<Record<string, string>>;
  /** Once it is closed: what is resolved then has this time, however often it is tried. */
  readonly endingAt?: string;
  /** It has finished, and `audit.completed` may not have been published. */
  readonly isUntold?: true;
  /** Once it has finished. */
  readonly counts?: FindingCounts;
  /** Against the run of about a week before. */
  readonly changes?: Changes;
  /** Why it failed. */
  readonly detail?: string;
}

/** Open findings when the run ended. */
export interface FindingCounts {
  readonly open: number;
  readonly critical: number;
  readonly warning: number;
  readonly info: number;
  readonly byCode: Readonly<Record<string, number>>;
  /** By code: those that are too many to be listed one by one. */
  readonly summedUp?: Readonly<Record<string, SummedUp>>;
}

/** What became of findings since an earlier run. New are those that began later, and `cameBack` of them had been resolved before. */
export interface Changes {
  readonly since: { readonly id: string; readonly finishedAt: string };
  readonly new: number;
  readonly cameBack: number;
  readonly resolved: number;
  readonly stillOpen: number;
  readonly byCode: Readonly<Record<string, CodeChanges>>;
}

export interface CodeChanges {
  readonly before: number;
  readonly now: number;
  readonly new: number;
  readonly cameBack: number;
  readonly resolved: number;
}

/** More devices a unit of work do not pay: each begins with a message and a claim. */
const pagesPerDivision = 5;
const mostDivisions = 64;

/** `before`: the newest run that has finished. Records of groups that are gone are kept for `keptForMs`. */
export function newRun(startedAt: Date, before?: AuditRun, keptForMs = Number.POSITIVE_INFINITY): AuditRun {
  return {
    ...noCounts,
    id: startedAt.toISOString().replaceAll(/[:.]/g, '-'),
    number: (before?.number ?? 0) + 1,
    status: 'running',
    startedAt: startedAt.toISOString(),
    stage: 'groups',
    nextUnit: 0,
    workers: [0],
    toStart: [],
    granted: {},
    divisions: divisionsOf(before?.pageEnds ?? []),
    goneGroups: before ? goneSince(before, startedAt, keptForMs) : {},
  };
}

/** All that the run before knew of; those that are still there are taken out when the groups have been listed. */
function goneSince(before: AuditRun, now: Date, keptForMs: number): AuditRun['goneGroups'] {
  const purged = Date.parse(before.startedAt) - keptForMs;
  const gone = Object.entries(before.goneGroups).filter(([, since]) => Date.parse(since) >= purged);
  const known = before.groups.map((id) => [id, now.toISOString()]);
  return Object.fromEntries([...known, ...gone]);
}

function divisionsOf(pageEnds: readonly string[]): readonly string[] {
  const every = Math.max(pagesPerDivision, Math.ceil(pageEnds.length / mostDivisions));
  return [...pageEnds].sort().filter((_, index) => index % every === every - 1);
}
