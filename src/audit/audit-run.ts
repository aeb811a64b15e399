import { emptySummary, type FleetSummary } from '../fleet/fleet-summary.ts';
import type { FindingCode, Severity } from './finding.ts';
import type { FindingTallies, SummedUp } from './finding-tally.ts';
import type { ListingStart } from './listing.ts';

/** Where a run stands. Written after every page, so that any instance can go on from it. */
export type Checkpoint =
  | { readonly phase: 'groups'; readonly continuation?: string }
  | { readonly phase: 'registrations'; readonly group: number; readonly continuation?: string }
  | { readonly phase: 'unknown'; readonly group: number; readonly after?: string }
  | { readonly phase: 'enrollments'; readonly continuation?: string }
  /** `began`: when the bucket's states were asked for first; ISO 8601. */
  | { readonly phase: 'states'; readonly bucket: number; readonly began?: string }
  | { readonly phase: 'certificates'; readonly bucket: number }
  | { readonly phase: 'devices'; readonly continuation?: string }
  | { readonly phase: 'batches'; readonly continuation?: string }
  | { readonly phase: 'purge'; readonly kind: 'device' | 'batch' }
  | { readonly phase: 'report' };

export interface Scanned {
  readonly enrollmentGroups: number;
  readonly groupRegistrations: number;
  readonly individualEnrollments: number;
  readonly individualStates: number;
}

export type StateCounts = Readonly<
  Record<'assigned' | 'assigning' | 'failed' | 'disabled' | 'unassigned', number>
>;

export type GroupKinds = Readonly<Record<'x509' | 'symmetricKey', number>>;

export interface AuditRun {
  /** The start, as `2026-11-23T04-00-00-000Z`. */
  readonly id: string;
  /** One more than the newest run's that had finished when it began. */
  readonly number: number;
  readonly status: 'running' | 'finished' | 'failed';
  readonly startedAt: string;
  readonly finishedAt?: string;
  /** DPS operations spent. */
  readonly operations: number;
  readonly scanned: Scanned;
  readonly states: StateCounts;
  /** When the registration state of an individual enrollment was asked for that is the oldest in the report. */
  readonly oldestState?: string;
  readonly checkpoint: Checkpoint;
  /** Ids of the enrollment groups, in lower case, in the order of their scan. */
  readonly groups: readonly string[];
  /** Those of them that are disabled. */
  readonly closedGroups: readonly string[];
  /** Groups that a profile or a member names, and DPS does not have; in lower case. */
  readonly missingGroups: readonly string[];
  /** How many of them are of each kind. */
  readonly groupKinds: GroupKinds;
  /** What was counted when the listing of DPS that is under way began. */
  readonly listing?: ListingStart;
  /** What the run has found so far. */
  readonly tallies: FindingTallies;
  /** Findings that were looked at by id before they were noted, by code. */
  readonly confirmations: Readonly<Partial<Record<FindingCode, number>>>;
  /** Devices that no event has named and that were listed. */
  readonly unknownListed: number;
  /** What was found in groups when they were scanned, by their ids. */
  readonly groupFindings: Readonly<Record<string, readonly GroupFinding[]>>;
  /** Stored in a row of its own: only the report needs it. */
  readonly summary: FleetSummary;
  /** Once it has finished. */
  readonly counts?: FindingCounts;
  /** Against the run of about a week before. */
  readonly changes?: Changes;
  /** Why it failed. */
  readonly detail?: string;
}

export interface GroupFinding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly subject: string;
  readonly detail: string;
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

/** Runs that an older version of the app began do not hold these. */
export const notCountedYet = {
  groupKinds: { x509: 0, symmetricKey: 0 },
  closedGroups: [],
  missingGroups: [],
  tallies: {},
  confirmations: {},
  unknownListed: 0,
  groupFindings: {},
  summary: emptySummary,
} as const;

export function newRun(startedAt: Date, number: number): AuditRun {
  return {
    id: startedAt.toISOString().replaceAll(/[:.]/g, '-'),
    number,
    status: 'running',
    startedAt: startedAt.toISOString(),
    operations: 0,
    scanned: { enrollmentGroups: 0, groupRegistrations: 0, individualEnrollments: 0, individualStates: 0 },
    states: { assigned: 0, assigning: 0, failed: 0, disabled: 0, unassigned: 0 },
    checkpoint: { phase: 'groups' },
    groups: [],
    ...notCountedYet,
  };
}

export function counted(counts: StateCounts, statuses: readonly (string | undefined)[]): StateCounts {
  const next: Record<keyof StateCounts, number> = { ...counts };
  for (const status of statuses) {
    if (status !== undefined && status in next) {
      next[status as keyof StateCounts]++;
    }
  }
  return next;
}
