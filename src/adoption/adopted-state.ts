import type {
  AttestationMechanism,
  EnrollmentGroup,
  IndividualEnrollment,
  X509Attestation,
} from '../dps/models.ts';
import type { Definition } from '../enrollment/ledger/definitions-register.ts';
import type { EnrollmentProfile } from '../enrollment/ledger/profiles.ts';
import type { Registers } from '../enrollment/ledger/registers.ts';
import { emptyState, type SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { Version } from '../enrollment/ledger/version.ts';
import { eventKey } from '../events/event-identity.ts';
import { instantOf, parseInstant } from '../events/instant.ts';
import type { JsonObject } from '../events/json.ts';

const source = '/adoption';
/** Any event of the same instant beats what was only found. */
const tieBreak = -1;

export interface AdoptedAs {
  readonly adoptionId: string;
  readonly product: string;
  readonly profile: EnrollmentProfile;
}

/** The state as if events had defined just what DPS has. */
export function stateOfEnrollment(stored: IndividualEnrollment, as: AdoptedAs): SubjectState {
  const id = stored.registrationId.toLowerCase();
  const version = versionOf(as, id, stored.createdDateTimeUtc);
  const { deviceId, optionalDeviceInformation } = stored;
  const definition: Definition = {
    ...definitionOf(stored, as),
    ...(deviceId === undefined ? {} : { deviceId }),
    ...(optionalDeviceInformation ? { deviceInformation: optionalDeviceInformation as JsonObject } : {}),
  };
  return adopted(stored, as, {
    definitions: [{ version, definition, accepted: true }],
    ...holdOf(stored, as.profile, version),
    spelling: { version, subject: deviceId === undefined ? id : stored.registrationId },
  });
}

export function stateOfGroup(stored: EnrollmentGroup, as: AdoptedAs): SubjectState {
  const id = stored.enrollmentGroupId.toLowerCase();
  const version = versionOf(as, id, stored.createdDateTimeUtc);
  return adopted(stored, as, {
    definitions: [{ version, definition: definitionOf(stored, as), accepted: true }],
    ...holdOf(stored, as.profile, version),
    spelling: { version, subject: stored.enrollmentGroupId },
  });
}

/** A device that registered through a group. No individual enrollment of its own is known. */
export function stateOfMember(
  member: { readonly id: string; readonly createdAt: string | undefined; readonly group: string },
  as: AdoptedAs,
): SubjectState {
  const version = versionOf(as, member.id, member.createdAt);
  const batch = as.profile.enrollmentGroup === undefined ? { batch: member.group } : {};
  const isBornHeld = as.profile.provisioningStatus === 'disabled';
  return {
    ...emptyState,
    adoptedBy: as.adoptionId,
    registers: {
      definitions: [{ version, definition: { product: as.product, ...batch }, accepted: true }],
      // It came in: so nobody had held it.
      ...(isBornHeld ? { hold: { version, held: false } } : {}),
      spelling: { version, subject: member.id },
    },
  };
}

/** A member that a disabled individual enrollment keeps out of its group. */
export function heldMember(member: SubjectState, stored: IndividualEnrollment): SubjectState {
  const version = member.registers.definitions[0]?.version;
  const hold = version ? { hold: { version, held: true } } : {};
  return { ...member, registers: { ...member.registers, ...hold }, mayExist: true, ...dpsOf(stored) };
}

function adopted(
  stored: IndividualEnrollment | EnrollmentGroup,
  { adoptionId }: AdoptedAs,
  registers: Registers,
): SubjectState {
  return { ...emptyState, adoptedBy: adoptionId, registers, mayExist: true, ...dpsOf(stored) };
}

function dpsOf({ etag }: { readonly etag?: string }): Pick<SubjectState, 'dps'> {
  return etag === undefined ? {} : { dps: { etag } };
}

function definitionOf(stored: IndividualEnrollment | EnrollmentGroup, { product }: AdoptedAs): Definition {
  const { tags, properties } = stored.initialTwin ?? {};
  return {
    product,
    attestation: attestationOf(stored.attestation),
    ...(hasMembers(tags) ? { tags: tags as JsonObject } : {}),
    ...(hasMembers(properties?.desired) ? { desired: properties?.desired as JsonObject } : {}),
  };
}

/** Of keys and certificates no more than queries show: none of the keys, and of certificates what is known of them. */
function attestationOf(attestation: AttestationMechanism): NonNullable<Definition['attestation']> {
  if (attestation.type === 'tpm') {
    const { endorsementKey, storageRootKey } = attestation.tpm;
    return { type: 'tpm', endorsementKey, ...(storageRootKey ? { storageRootKey } : {}) };
  }
  if (attestation.type === 'x509') {
    return { type: 'x509', asStored: withoutNulls(attestation.x509) as X509Attestation };
  }
  return { type: 'symmetricKey' };
}

function holdOf(
  { provisioningStatus = 'enabled' }: IndividualEnrollment | EnrollmentGroup,
  profile: EnrollmentProfile,
  version: Version,
): Pick<Registers, 'hold'> {
  const isHeld = provisioningStatus === 'disabled';
  return isHeld === (profile.provisioningStatus === 'disabled') ? {} : { hold: { version, held: isHeld } };
}

function versionOf({ adoptionId }: AdoptedAs, id: string, createdAt: string | undefined): Version {
  const at = parseInstant(createdAt ?? '') ?? instantOf(new Date(0));
  return { at, tieBreak, source, id: adoptionId, key: eventKey(source, adoptionId, id) };
}

function hasMembers(value: object | undefined): boolean {
  return value !== undefined && value !== null && Object.keys(value).length > 0;
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const given = Object.entries(value).filter(([, each]) => each !== null && each !== undefined);
  return Object.fromEntries(given.map(([name, each]) => [name, withoutNulls(each)]));
}
