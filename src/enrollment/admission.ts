import { checkCertificate } from '../dps/certificate-checks.ts';
import { symmetricKeyProblem } from '../dps/symmetric-keys.ts';
import {
  type AttestationData,
  type DefinitionData,
  isDefinitionKind,
  type ManufacturingEvent,
  type X509Data,
} from '../events/manufacturing-event.ts';
import { dpsIdRule, isDpsId } from '../events/read-event.ts';
import type { EventWarning, Rejection, RejectionReason } from '../events/rejection.ts';
import type { EnrollmentProfile, EnrollmentProfiles } from './profiles.ts';

export interface Admission {
  readonly rejection?: Rejection;
  readonly warnings: readonly EventWarning[];
  /** The leaf certificate of the event, if it reads as one: kept whatever becomes of the event. */
  readonly leafCertificate?: string;
}

const soonInMs = 30 * 24 * 3_600_000;

const certificateReasons = {
  unreadable: 'invalid-attestation',
  expired: 'certificate-expired',
  'not-yet-valid': 'certificate-not-yet-valid',
  weak: 'certificate-weak',
  'not-a-ca': 'certificate-not-a-ca',
  'name-mismatch': 'certificate-name-mismatch',
} as const satisfies Record<string, RejectionReason>;

/**
 * Judges an event by itself: its profile, its attestation, its certificates. What the device's other events say
 * is the registers' affair, so the judgement does not depend on order.
 */
export function admit(event: ManufacturingEvent, profiles: EnrollmentProfiles, now: Date): Admission {
  const leaf = readableLeaf(event, now);
  const withLeaf = leaf === undefined ? {} : { leafCertificate: leaf };
  if (!isDefinitionKind(event.kind) || !event.definition) {
    const rejection = event.leafCertificate !== undefined && leaf === undefined ? unreadableLeaf : undefined;
    return { warnings: [], ...withLeaf, ...(rejection ? { rejection } : {}) };
  }
  const warnings: EventWarning[] = [];
  const rejection = judgeDefinition(event, event.definition, profiles, now, warnings);
  return { warnings, ...withLeaf, ...(rejection ? { rejection } : {}) };
}

const unreadableLeaf: Rejection = {
  reason: 'invalid-attestation',
  pointer: '/data/attestation/certificate',
  detail: 'The certificate does not parse. Send one X.509 certificate as PEM or base64 DER.',
};

/** Held and scrapped devices are kept out with a certificate whatever its dates: all that counts is that it reads. */
function readableLeaf(event: ManufacturingEvent, now: Date): string | undefined {
  if (event.leafCertificate === undefined) return undefined;
  const { problems } = checkCertificate(event.leafCertificate, { now });
  return problems.some(({ code }) => code === 'unreadable') ? undefined : event.leafCertificate;
}

function judgeDefinition(
  event: ManufacturingEvent,
  definition: DefinitionData,
  profiles: EnrollmentProfiles,
  now: Date,
  warnings: EventWarning[],
): Rejection | undefined {
  const profile = profiles.for(definition.product);
  if (!profile)
    return no(
      'unknown-product',
      '/data/product',
      `No enrollment profile fits the product ${definition.product}. Add one to the profiles file, or correct the product.`,
    );
  const misplaced =
    event.subjectKind === 'batch' ? judgeBatch(definition, profile) : judgeDevice(definition, profile);
  if (misplaced) return misplaced;
  return judgeAttestation(event, definition, profile, now, warnings);
}

function judgeBatch(definition: DefinitionData, profile: EnrollmentProfile): Rejection | undefined {
  if (profile.enrollment === 'individual')
    return no(
      'wrong-enrollment-kind',
      '/data/product',
      `Devices of ${definition.product} have individual enrollments, so there is no group to start. Send device.manufactured for each.`,
    );
  if (profile.enrollmentGroup !== undefined)
    return no(
      'group-not-per-batch',
      '/data/product',
      `Devices of ${definition.product} belong to the group ${profile.enrollmentGroup}, which is managed elsewhere.`,
    );
  const member = (['deviceId', 'deviceInformation'] as const).find((name) => definition[name] !== undefined);
  if (member === undefined) return undefined;
  return no('not-per-device', `/data/${member}`, `An enrollment group has no ${member}.`);
}

function judgeDevice(definition: DefinitionData, profile: EnrollmentProfile): Rejection | undefined {
  if (definition.batch !== undefined && !isDpsId(definition.batch) && profile.enrollment === 'group')
    return no('invalid-batch-id', '/data/batch', `The batch must have ${dpsIdRule}.`);
  if (profile.enrollment === 'individual') return judgeDeviceId(definition);
  if (profile.enrollmentGroup === undefined && definition.batch === undefined)
    return no(
      'invalid-data',
      '/data/batch',
      `Devices of ${definition.product} belong to a group a batch: the batch is required.`,
    );
  const member = (['deviceId', 'tags', 'desired', 'deviceInformation'] as const).find(
    (name) => definition[name] !== undefined,
  );
  if (member === undefined) return undefined;
  return no(
    'not-per-device',
    `/data/${member}`,
    `Devices of ${definition.product} belong to an enrollment group, which has no ${member} for one device.`,
  );
}

/** IoT Hub's rule of device ids. */
function judgeDeviceId(definition: DefinitionData): Rejection | undefined {
  if (definition.deviceId === undefined || /^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/.test(definition.deviceId))
    return undefined;
  return no(
    'invalid-data',
    '/data/deviceId',
    "The deviceId must have 1 to 128 characters, letters, digits and - . % _ * ? ! ( ) , : = @ $ '.",
  );
}

function judgeAttestation(
  event: ManufacturingEvent,
  definition: DefinitionData,
  profile: EnrollmentProfile,
  now: Date,
  warnings: EventWarning[],
): Rejection | undefined {
  const attestation = definition.attestation;
  if (event.subjectKind === 'device' && profile.enrollment === 'group')
    return judgeMember(event, attestation, now, warnings);
  const type = attestation?.type ?? profile.attestation;
  const bad = (detail: string, member = '') =>
    no('invalid-attestation', `/data/attestation${member}`, detail);
  if (type === undefined)
    return bad(`The profile of ${definition.product} leaves the attestation to the event, which has none.`);
  if (profile.attestation !== undefined && type !== profile.attestation)
    return bad(`The profile of ${definition.product} wants ${profile.attestation}, not ${type}.`, '/type');
  if (type === 'symmetricKey') return judgeKeys(attestation, bad);
  if (type === 'tpm') {
    if (event.subjectKind === 'batch') return bad('DPS has no enrollment groups with TPM.', '/type');
    return attestation ? undefined : bad('A TPM enrollment needs the endorsementKey of the device.');
  }
  if (attestation?.type !== 'x509') return bad('An X.509 enrollment needs a certificate.');
  return judgeX509(event, attestation, now, warnings);
}

function judgeKeys(
  attestation: AttestationData | undefined,
  bad: (detail: string, member?: string) => Rejection,
): Rejection | undefined {
  if (attestation?.type !== 'symmetricKey') return undefined;
  for (const [name, other] of [
    ['primaryKey', 'secondaryKey'],
    ['secondaryKey', 'primaryKey'],
  ] as const) {
    const key = attestation[name];
    if (key === undefined && attestation[other] !== undefined)
      return bad('Send both keys, or neither: then DPS generates them.', `/${name}`);
    const problem = key === undefined ? undefined : symmetricKeyProblem(key);
    if (problem !== undefined) return bad(problem, `/${name}`);
  }
  return undefined;
}

function judgeMember(
  event: ManufacturingEvent,
  attestation: AttestationData | undefined,
  now: Date,
  warnings: EventWarning[],
): Rejection | undefined {
  if (attestation === undefined) return undefined;
  if (
    attestation.type !== 'x509' ||
    attestation.certificate === undefined ||
    Object.keys(attestation).length > 2
  )
    return no(
      'invalid-attestation',
      '/data/attestation',
      "A member of an enrollment group may bring its leaf certificate (type x509, certificate) and nothing else: the group's attestation is the device's.",
    );
  const check = { registrationId: event.subject };
  return judgeCertificate(attestation.certificate, 'certificate', check, now, warnings);
}

function judgeX509(
  event: ManufacturingEvent,
  attestation: X509Data,
  now: Date,
  warnings: EventWarning[],
): Rejection | undefined {
  const forBatch = event.subjectKind === 'batch';
  const own = forBatch
    ? (['signingCertificate', 'secondarySigningCertificate'] as const)
    : (['certificate', 'secondaryCertificate'] as const);
  const allowed: readonly string[] = forBatch ? [...own, 'caReference', 'secondaryCaReference'] : own;
  const foreign = Object.keys(attestation).find((name) => name !== 'type' && !allowed.includes(name));
  if (foreign !== undefined)
    return no(
      'invalid-attestation',
      `/data/attestation/${foreign}`,
      `${foreign} does not belong to ${forBatch ? 'a batch, whose group is' : 'a device, whose enrollment is'} made with ${allowed.join(', ')}.`,
    );
  const required = own[0];
  const usesCa = forBatch && attestation.caReference !== undefined;
  if (attestation[required] === undefined && !usesCa)
    return no(
      'invalid-attestation',
      `/data/attestation/${required}`,
      forBatch ? 'The batch needs a signingCertificate or a caReference.' : 'The device needs a certificate.',
    );
  if (usesCa && own.some((name) => attestation[name] !== undefined))
    return no(
      'invalid-attestation',
      '/data/attestation/caReference',
      'Send signing certificates or CA references, not both.',
    );
  const check = forBatch ? { mustBeCa: true } : { registrationId: event.subject };
  for (const name of own) {
    const text = attestation[name];
    const rejection = text === undefined ? undefined : judgeCertificate(text, name, check, now, warnings);
    if (rejection) return rejection;
  }
  return undefined;
}

function judgeCertificate(
  text: string,
  member: string,
  expected: { readonly registrationId?: string; readonly mustBeCa?: boolean },
  now: Date,
  warnings: EventWarning[],
): Rejection | undefined {
  // DPS takes one certificate; which of several is meant is not for us to guess.
  if (text.split('-----BEGIN CERTIFICATE-----').length > 2)
    return no(
      'invalid-attestation',
      `/data/attestation/${member}`,
      `The ${member} holds several certificates. Send one, without its chain.`,
    );
  const { problems, expiresInMs } = checkCertificate(text, { now, ...expected });
  const problem = problems[0];
  if (problem) return no(certificateReasons[problem.code], `/data/attestation/${member}`, problem.detail);
  if (expiresInMs !== undefined && expiresInMs < soonInMs && !warnings.includes('certificate-expires-soon'))
    warnings.push('certificate-expires-soon');
  return undefined;
}

function no(reason: RejectionReason, pointer: string, detail: string): Rejection {
  return { reason, pointer, detail };
}
