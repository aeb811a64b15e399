/** Where a run stands. Written after every page, so that any instance can go on from it. */
export type Checkpoint =
  | { readonly phase: 'groups'; readonly continuation?: string }
  | { readonly phase: 'registrations'; readonly group: number; readonly continuation?: string }
  | { readonly phase: 'enrollments'; readonly continuation?: string }
  | { readonly phase: 'states'; readonly bucket: number }
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

export interface AuditRun {
  /** The start, as `2026-11-23T04-00-00-000Z`. */
  readonly id: string;
  readonly status: 'running' | 'finished' | 'failed';
  readonly startedAt: string;
  readonly finishedAt?: string;
  /** DPS operations spent. */
  readonly operations: number;
  readonly scanned: Scanned;
  readonly states: StateCounts;
  readonly checkpoint: Checkpoint;
  /** Ids of the enrollment groups, in lower case, in the order of their scan. */
  readonly groups: readonly string[];
  /** Why it failed. */
  readonly detail?: string;
}

export function newRun(startedAt: Date): AuditRun {
  return {
    id: startedAt.toISOString().replaceAll(/[:.]/g, '-'),
    status: 'running',
    startedAt: startedAt.toISOString(),
    operations: 0,
    scanned: { enrollmentGroups: 0, groupRegistrations: 0, individualEnrollments: 0, individualStates: 0 },
    states: { assigned: 0, assigning: 0, failed: 0, disabled: 0, unassigned: 0 },
    checkpoint: { phase: 'groups' },
    groups: [],
  };
}

export type Severity = 'critical' | 'warning' | 'info';

export type FindingCode =
  | 'registered-but-unknown'
  | 'never-registered'
  | 'registration-failed'
  | 'enrollment-missing'
  | 'enrollment-unknown'
  | 'not-applied';

export interface Finding {
  readonly severity: Severity;
  readonly code: FindingCode;
  readonly subject: string;
  readonly detail: string;
}

export interface ReportedFinding extends Finding {
  readonly firstSeen: string;
  readonly lastSeen: string;
}
