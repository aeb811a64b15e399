import type { Definition } from '../enrollment/ledger/definitions-register.ts';
import { desiredState } from '../enrollment/ledger/desired-state.ts';
import type { EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/ledger/subject-state.ts';
import { compareText } from '../events/compare-text.ts';
import { type Instant, instantToMs } from '../events/instant.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';

/** `unknown`: DPS has it, and no event has named it. */
export type FleetLifecycle =
  | 'unknown'
  | 'expected'
  | 'manufactured'
  | 'scrapped'
  | 'started'
  | 'recalled'
  | 'retired';

export const registrationStates = ['assigned', 'assigning', 'failed', 'disabled', 'unassigned'] as const;
export type RegistrationStatus = (typeof registrationStates)[number];

export type Labels = Readonly<Record<string, string>>;

/** What the ledger says of a device or batch, as far as lists show it or filter by it. */
export interface LedgerFacts {
  /** Of the state that this was read from: the greater one is the newer one. */
  readonly revision: number;
  readonly appliedRevision: number;
  readonly life: FleetLifecycle;
  readonly held: boolean;
  /** Why, where the event said so. */
  readonly heldReason?: string;
  readonly pendingSince?: string;
  readonly product?: string;
  readonly batch?: string;
  readonly deviceId?: string;
  readonly group?: string;
  readonly labels: Labels;
  /** When it was manufactured or started, by the first definition; ISO 8601. */
  readonly definedAt?: string;
}

export interface FindingFact {
  readonly code: string;
  readonly severity: string;
  readonly detail: string;
  readonly since: string;
}

/** A change that an audit saw. */
export interface AuditedChange {
  readonly at: string;
  readonly what: 'registration' | 'hub' | 'found' | 'resolved';
  readonly text: string;
}

/** What the newest audit saw of it. */
export interface AuditFacts {
  readonly auditedAt: string;
  readonly state?: RegistrationStatus;
  readonly hub?: string;
  /** Its registration record, by DPS; ISO 8601. */
  readonly firstRegisteredAt?: string;
  readonly registeredAt?: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  /** Never registered, and within the time that its profile allows: not switched on yet. */
  readonly waiting: boolean;
  readonly findings: readonly FindingFact[];
  readonly history: readonly AuditedChange[];
  /** Of a batch: its devices when the audit came by. */
  readonly counts?: BatchCounts;
}

export interface BatchCounts {
  readonly devices: number;
  readonly assigned: number;
  readonly waiting: number;
  readonly failed: number;
  readonly held: number;
  readonly findings: number;
}

/** One device or batch of the fleet: what its rows in the index are made of. */
export interface FleetEntry {
  readonly kind: SubjectKind;
  readonly id: string;
  readonly ledger: LedgerFacts;
  readonly audit?: AuditFacts;
}

export const notInLedger: LedgerFacts = {
  revision: -1,
  appliedRevision: -1,
  life: 'unknown',
  held: false,
  labels: {},
};

/** Pure: of equal states, equal facts. */
export function ledgerFacts(
  { kind, id }: SubjectRef,
  state: SubjectState,
  profiles: EnrollmentProfiles,
): LedgerFacts {
  const { registers, revision } = state;
  // Nothing is pending: all that was merged is applied.
  const appliedRevision = isInSync(state) ? revision : revision - state.pending.length;
  const [newest] = registers.definitions;
  const definition: (Definition & { readonly labels?: Labels | null }) | undefined = newest?.definition;
  const first = registers.definitions.map(({ version }) => version.at).sort(compareText)[0];
  const group = groupOf(kind, id, state, profiles);
  const hold: { readonly held: boolean; readonly reason?: string } | undefined = registers.hold;
  const life = lifecycleOf(kind, state);
  const isHeld =
    (hold?.held ?? isBornHeld(definition, profiles)) && life !== 'scrapped' && life !== 'retired';
  return {
    revision,
    appliedRevision,
    life,
    held: isHeld,
    ...(isHeld && hold?.reason !== undefined ? { heldReason: hold.reason.slice(0, 256) } : {}),
    ...(isInSync(state) ? {} : { pendingSince: state.pendingSince ?? '' }),
    ...(definition ? { product: definition.product } : {}),
    ...(definition?.batch === undefined ? {} : { batch: definition.batch }),
    ...(definition?.deviceId === undefined ? {} : { deviceId: definition.deviceId }),
    ...(group === undefined ? {} : { group }),
    labels: definition?.labels ?? {},
    ...(first === undefined ? {} : { definedAt: isoOf(first) }),
  };
}

export function lifecycleOf(kind: SubjectKind, { registers }: SubjectState): FleetLifecycle {
  const life = registers.life?.life;
  if (life !== undefined && life !== 'remanufactured') {
    return life;
  }
  if (registers.definitions.length === 0) {
    return 'expected';
  }
  return kind === 'device' ? 'manufactured' : 'started';
}

/** Whether `left` was read from an older state than `right`. */
export function isOlder(left: LedgerFacts, right: LedgerFacts): boolean {
  return (
    left.revision < right.revision ||
    (left.revision === right.revision && left.appliedRevision < right.appliedRevision)
  );
}

function groupOf(
  kind: SubjectKind,
  id: string,
  { registers }: SubjectState,
  profiles: EnrollmentProfiles,
): string | undefined {
  if (kind === 'batch') {
    return undefined;
  }
  const desired = desiredState(kind, id, registers, profiles);
  return desired.kind === 'member' || desired.kind === 'blocked' ? desired.enrollmentGroupId : undefined;
}

function isBornHeld(definition: Definition | undefined, profiles: EnrollmentProfiles): boolean {
  return definition !== undefined && profiles.for(definition.product)?.provisioningStatus === 'disabled';
}

function isoOf(instant: Instant): string {
  return new Date(instantToMs(instant)).toISOString();
}
