import { differingMembers } from '../audit/enrollment-difference.ts';
import type { DeviceRegistrationState, EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';
import { type DesiredState, desiredState } from '../enrollment/ledger/desired-state.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger/ledger.ts';
import type { EnrollmentProfile, EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import type { EventRecord, SubjectRef, SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { FleetEntry } from '../fleet/fleet-entry.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import { type DpsViewParts, readDpsView } from './dps-view.ts';

/** What a page shows of a device or batch. */
export interface SubjectView {
  readonly subject: SubjectRef;
  readonly state: SubjectState | undefined;
  /** Newest first. */
  readonly events: readonly EventRecord[];
  /** What the newest audit saw. */
  readonly entry: FleetEntry | undefined;
  readonly desired: DesiredState;
  readonly profile: EnrollmentProfile | undefined;
  /** Of a member: its batch's state, if the group is a batch of ours. */
  readonly group: { readonly id: string; readonly state: SubjectState | undefined } | undefined;
  readonly dps: ReadOfDps;
  /** Members of the enrollment that are other than they should be; without DPS, none is known. */
  readonly differing: readonly string[];
}

/** What DPS holds now; where it cannot be read, why. */
export type ReadOfDps =
  | {
      readonly enrollment: IndividualEnrollment | EnrollmentGroup | undefined;
      readonly registration: DeviceRegistrationState | undefined;
      readonly unavailable?: undefined;
    }
  | { readonly unavailable: string; readonly enrollment?: undefined; readonly registration?: undefined };

export interface SubjectViewParts extends DpsViewParts {
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  readonly fleetIndex: FleetIndex;
}

/**
 * Three reads of tables at most, and two of DPS. Undefined: nobody knows it.
 *
 * @throws what DPS answered, where only DPS could know it
 */
export async function readSubjectView(
  parts: SubjectViewParts,
  kind: SubjectRef['kind'],
  name: string,
): Promise<SubjectView | undefined> {
  const subject = subjectOf(kind, name);
  const { ledger, profiles, fleetIndex } = parts;
  const [whole, entry, view] = await Promise.all([
    ledger.readWhole(subject),
    fleetIndex.read(subject),
    readDpsView(parts, subject),
  ]);
  const dps: ReadOfDps = view.unknown
    ? { unavailable: view.unknown.message }
    : { enrollment: view.is, registration: view.did };
  const { state, events } = whole;
  if (!state && !entry && events.length === 0 && !dps.enrollment && !dps.registration) {
    if (view.unknown) {
      throw view.unknown;
    }
    return undefined;
  }
  const desired: DesiredState = state
    ? desiredState(kind, subject.id, state.registers, profiles)
    : { kind: 'nothing' };
  const product = state?.registers.definitions[0]?.definition.product;
  const groupId =
    desired.kind === 'member' || desired.kind === 'blocked' ? desired.enrollmentGroupId : undefined;
  const group =
    groupId === undefined
      ? undefined
      : { id: groupId, state: await ledger.readState(subjectOf('batch', groupId)) };
  return {
    subject,
    state,
    events,
    entry,
    desired,
    profile: product === undefined ? undefined : profiles.for(product),
    group,
    dps,
    differing: differingOf(desired, dps),
  };
}

function differingOf(desired: DesiredState, { enrollment }: ReadOfDps): readonly string[] {
  if (!enrollment) {
    return [];
  }
  if (desired.kind === 'enrollment') {
    return differingMembers(desired.enrollment, enrollment);
  }
  return desired.kind === 'group' ? differingMembers(desired.group, enrollment) : [];
}
