import type { AttestationMechanism, EnrollmentGroup, IndividualEnrollment } from '../../dps/models.ts';
import type { EventKey } from '../../events/event-identity.ts';
import { isJsonObject, type JsonObject } from '../../events/json.ts';
import type { SubjectKind } from '../../events/manufacturing-event.ts';
import type { Definition } from './definitions-register.ts';
import type { EnrollmentProfile, EnrollmentProfiles } from './profiles.ts';
import type { Registers } from './registers.ts';
import type { OutcomeFacts } from './subject-state.ts';

/** What DPS should hold for a device or a batch. Symmetric keys are left out: see `Registers.keys`. */
export type DesiredState =
  /** No event so far concerns DPS. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'enrollment'; readonly enrollment: IndividualEnrollment }
  | { readonly kind: 'no-enrollment' }
  /** Expected in its group; no individual enrollment stands in the way. */
  | { readonly kind: 'member'; readonly enrollmentGroupId: string }
  /** A member that a disabled individual enrollment keeps out. */
  | { readonly kind: 'blocked'; readonly enrollmentGroupId: string; readonly leafCertificate?: string }
  | { readonly kind: 'group'; readonly group: EnrollmentGroup }
  /** The group goes, and its registration records before it. */
  | { readonly kind: 'no-group' }
  /** No event has defined it, yet it must not be let in: what DPS has is disabled, and all else of it kept. */
  | { readonly kind: 'shut'; readonly leafCertificate?: string }
  /** No event has defined it: what a hold disabled or made is undone. */
  | { readonly kind: 'reopened' }
  /** The definition's product has no profile any more: an operator has to say what is meant. */
  | { readonly kind: 'no-profile'; readonly product: string };

/** `id` in lower case: events of one subject may write it differently, and DPS does not tell cases apart. */
export function desiredState(
  subjectKind: SubjectKind,
  id: string,
  registers: Registers,
  profiles: EnrollmentProfiles,
): DesiredState {
  const definition = registers.definitions[0]?.definition;
  if (subjectKind === 'batch') {
    return desiredGroup(id, definition, registers, profiles);
  }
  const scrapped = registers.life?.life === 'scrapped';
  if (!definition) {
    return undefinedSubject(registers, scrapped);
  }
  const profile = profiles.for(definition.product);
  if (!profile) {
    return { kind: 'no-profile', product: definition.product };
  }
  if (profile.enrollment === 'individual') {
    if (scrapped) {
      return { kind: 'no-enrollment' };
    }
    return { kind: 'enrollment', enrollment: individualEnrollment(id, definition, registers, profile) };
  }
  const enrollmentGroupId = profile.enrollmentGroup ?? definition.batch ?? '';
  const keptOut = scrapped || isHeld(registers, profile);
  if (!keptOut) {
    return { kind: 'member', enrollmentGroupId };
  }
  const leaf = registers.leafCertificate?.certificate;
  return { kind: 'blocked', enrollmentGroupId, ...(leaf === undefined ? {} : { leafCertificate: leaf }) };
}

function undefinedSubject({ hold, leafCertificate }: Registers, hasEnded: boolean): DesiredState {
  if (hasEnded || hold?.held) {
    return { kind: 'shut', ...(leafCertificate ? { leafCertificate: leafCertificate.certificate } : {}) };
  }
  return { kind: hold ? 'reopened' : 'nothing' };
}

function desiredGroup(
  id: string,
  definition: Definition | undefined,
  registers: Registers,
  profiles: EnrollmentProfiles,
): DesiredState {
  if (!definition) {
    return undefinedSubject(registers, registers.life !== undefined);
  }
  if (registers.life?.life === 'retired') {
    return { kind: 'no-group' };
  }
  const profile = profiles.for(definition.product);
  if (!profile) {
    return { kind: 'no-profile', product: definition.product };
  }
  const attestation: AttestationMechanism = groupAttestation(definition.attestation);
  const group: EnrollmentGroup = {
    enrollmentGroupId: id,
    attestation,
    ...commonMembers(definition, registers, profile),
  };
  if (registers.life?.life === 'recalled') {
    group.provisioningStatus = 'disabled';
  }
  return { kind: 'group', group };
}

function individualEnrollment(
  id: string,
  definition: Definition,
  registers: Registers,
  profile: EnrollmentProfile,
): IndividualEnrollment {
  return {
    registrationId: id,
    deviceId: definition.deviceId ?? registers.spelling?.subject ?? id,
    ...(definition.deviceInformation ? { optionalDeviceInformation: definition.deviceInformation } : {}),
    attestation: deviceAttestation(definition.attestation),
    ...commonMembers(definition, registers, profile),
  };
}

function commonMembers(definition: Definition, registers: Registers, profile: EnrollmentProfile) {
  const status = registers.hold ? (registers.hold.held ? 'disabled' : 'enabled') : profile.provisioningStatus;
  const initialTwin = mergeTwin(profile.initialTwin, definition);
  return {
    ...(profile.capabilities ? { capabilities: profile.capabilities } : {}),
    ...(initialTwin ? { initialTwin } : {}),
    ...(status ? { provisioningStatus: status } : {}),
    ...(profile.reprovisionPolicy ? { reprovisionPolicy: profile.reprovisionPolicy } : {}),
    ...(profile.allocationPolicy ? { allocationPolicy: profile.allocationPolicy } : {}),
    ...(profile.iotHubs ? { iotHubs: profile.iotHubs } : {}),
    ...(profile.customAllocationDefinition
      ? { customAllocationDefinition: profile.customAllocationDefinition }
      : {}),
  };
}

function isHeld(registers: Registers, profile: EnrollmentProfile): boolean {
  return registers.hold ? registers.hold.held : profile.provisioningStatus === 'disabled';
}

function deviceAttestation(attestation: Definition['attestation']): AttestationMechanism {
  if (attestation && 'asStored' in attestation) {
    return { type: 'x509', x509: attestation.asStored };
  }
  if (attestation?.type === 'tpm') {
    const { type: _, ...tpm } = attestation;
    return { type: 'tpm', tpm };
  }
  if (attestation?.type === 'x509') {
    return {
      type: 'x509',
      x509: { clientCertificates: certificates(attestation.certificate, attestation.secondaryCertificate) },
    };
  }
  return { type: 'symmetricKey' };
}

function groupAttestation(attestation: Definition['attestation']): AttestationMechanism {
  if (attestation && 'asStored' in attestation) {
    return { type: 'x509', x509: attestation.asStored };
  }
  if (attestation?.type !== 'x509') {
    return { type: 'symmetricKey' };
  }
  const { caReference, secondaryCaReference, signingCertificate, secondarySigningCertificate } = attestation;
  if (caReference !== undefined) {
    return {
      type: 'x509',
      x509: {
        caReferences: {
          primary: caReference,
          ...(secondaryCaReference === undefined ? {} : { secondary: secondaryCaReference }),
        },
      },
    };
  }
  return {
    type: 'x509',
    x509: { signingCertificates: certificates(signingCertificate, secondarySigningCertificate) },
  };
}

function certificates(primary: string | undefined, secondary: string | undefined) {
  return {
    ...(primary === undefined ? {} : { primary: { certificate: primary } }),
    ...(secondary === undefined ? {} : { secondary: { certificate: secondary } }),
  };
}

function mergeTwin(
  profileTwin: EnrollmentProfile['initialTwin'],
  definition: Definition,
): IndividualEnrollment['initialTwin'] | undefined {
  const tags = mergeMembers(profileTwin?.tags, definition.tags);
  const desired = mergeMembers(profileTwin?.properties?.desired, definition.desired);
  if (!tags && !desired) {
    return undefined;
  }
  return { ...(tags ? { tags } : {}), ...(desired ? { properties: { desired } } : {}) };
}

/** Objects member by member; all else replaces. Every name passes through, `__proto__` too. */
function mergeMembers(base: JsonObject | undefined, over: JsonObject | undefined): JsonObject | undefined {
  if (!base || !over) {
    return over ?? base;
  }
  const merged = new Map(Object.entries(base));
  for (const [name, value] of Object.entries(over)) {
    const old = merged.get(name);
    merged.set(name, isJsonObject(old) && isJsonObject(value) ? mergeMembers(old, value) : value);
  }
  return Object.fromEntries(merged);
}

/** Where DPS should have the device or batch, as outcomes and pages tell it. */
export function placeOf(
  desired: DesiredState,
): Pick<OutcomeFacts, 'enrollmentGroupId' | 'provisioningStatus'> {
  switch (desired.kind) {
    case 'enrollment':
      return { provisioningStatus: desired.enrollment.provisioningStatus ?? 'enabled' };
    case 'group':
      return {
        enrollmentGroupId: desired.group.enrollmentGroupId,
        provisioningStatus: desired.group.provisioningStatus ?? 'enabled',
      };
    case 'member':
      return { enrollmentGroupId: desired.enrollmentGroupId, provisioningStatus: 'enabled' };
    case 'blocked':
      return { enrollmentGroupId: desired.enrollmentGroupId, provisioningStatus: 'disabled' };
    case 'shut':
      return { provisioningStatus: 'disabled' };
    default:
      return {};
  }
}

export function wantsSymmetricKeys(desired: DesiredState): boolean {
  if (desired.kind === 'enrollment') {
    return desired.enrollment.attestation.type === 'symmetricKey';
  }
  return desired.kind === 'group' && desired.group.attestation.type === 'symmetricKey';
}

/** The event whose keys have to be in DPS before anything else is, if there is one: only its message holds them. */
export function awaitedKeys(desired: DesiredState, { keys }: Registers): EventKey | undefined {
  return keys && !keys.applied && wantsSymmetricKeys(desired) ? keys.version.key : undefined;
}

export function isKeptOut(desired: DesiredState, { life }: Registers): boolean {
  if (life?.life === 'scrapped' || desired.kind === 'blocked' || desired.kind === 'shut') {
    return true;
  }
  return desired.kind === 'enrollment' && desired.enrollment.provisioningStatus === 'disabled';
}
