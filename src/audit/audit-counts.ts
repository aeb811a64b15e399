import { combinedSummaries, emptySummary, type FleetSummary } from '../fleet/fleet-summary.ts';
import { addedUp } from '../tools/added-up.ts';
import type { FindingCode, Severity } from './finding.ts';
import { combinedTallies, type FindingTallies } from './finding-tally.ts';
import type { Lookups } from './lookups.ts';

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

export interface GroupFinding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly subject: string;
  readonly detail: string;
}

/** What was read and found: by a unit of work so far, and by a run in all its units that are done. */
export interface AuditCounts {
  /** DPS operations spent. */
  readonly operations: number;
  readonly scanned: Scanned;
  readonly states: StateCounts;
  /** When the registration state of an individual enrollment was asked for that is the oldest in the report. */
  readonly oldestState?: string;
  /** Ids of the enrollment groups, in lower case, in the order of their scan. */
  readonly groups: readonly string[];
  /** Those of them that are disabled. */
  readonly closedGroups: readonly string[];
  /** Groups that a profile or a member names, and DPS does not have; in lower case. */
  readonly missingGroups: readonly string[];
  /** How many of them are of each kind. */
  readonly groupKinds: GroupKinds;
  /** What was found in groups when they were scanned, by their ids. */
  readonly groupFindings: Readonly<Record<string, readonly GroupFinding[]>>;
  readonly tallies: FindingTallies;
  /** What was looked at by id, beyond what the listings told. */
  readonly lookups: Lookups;
  /** Stored in a row of its own: only the report needs it. */
  readonly summary: FleetSummary;
  /** The last id of each page of the ledger's devices: the next run divides its work there. */
  readonly pageEnds: readonly string[];
}

const noScans: Scanned = {
  enrollmentGroups: 0,
  groupRegistrations: 0,
  individualEnrollments: 0,
  individualStates: 0,
};
const noStates: StateCounts = { assigned: 0, assigning: 0, failed: 0, disabled: 0, unassigned: 0 };

export const noCounts: AuditCounts = {
  operations: 0,
  scanned: noScans,
  states: noStates,
  groups: [],
  closedGroups: [],
  missingGroups: [],
  groupKinds: { x509: 0, symmetricKey: 0 },
  groupFindings: {},
  tallies: {},
  lookups: {},
  summary: emptySummary,
  pageEnds: [],
};

/** The counts of both. What either has met, the sum has met once. */
export function sumOf(left: AuditCounts, right: AuditCounts): AuditCounts {
  const oldest = [left.oldestState, right.oldestState].filter((time) => time !== undefined).sort()[0];
  return {
    operations: left.operations + right.operations,
    scanned: addedUp(left.scanned, right.scanned),
    states: addedUp(left.states, right.states),
    ...(oldest === undefined ? {} : { oldestState: oldest }),
    groups: union(left.groups, right.groups),
    closedGroups: union(left.closedGroups, right.closedGroups),
    missingGroups: union(left.missingGroups, right.missingGroups),
    groupKinds: addedUp(left.groupKinds, right.groupKinds),
    groupFindings: { ...left.groupFindings, ...right.groupFindings },
    tallies: combinedTallies(left.tallies, right.tallies),
    lookups: addedUp(left.lookups, right.lookups),
    summary: combinedSummaries(left.summary, right.summary),
    pageEnds: [...left.pageEnds, ...right.pageEnds],
  };
}

export function countedStates(statuses: readonly (string | undefined)[]): StateCounts {
  const counts: Record<keyof StateCounts, number> = { ...noStates };
  for (const status of statuses) {
    if (status !== undefined && status in counts) {
      counts[status as keyof StateCounts]++;
    }
  }
  return counts;
}

export function scannedOnly(some: Partial<Scanned>): Scanned {
  return { ...noScans, ...some };
}

function union(left: readonly string[], right: readonly string[]): readonly string[] {
  return right.length === 0 ? left : [...new Set([...left, ...right])];
}
