import { checkCertificate } from '../../dps/certificate-checks.ts';
import { symmetricKeyProblem } from '../../dps/symmetric-keys.ts';
import { readTpmPublic } from '../../dps/tpm-public.ts';
import type {
  AttestationData,
  DefinitionData,
  ManufacturingEvent,
  X509Data,
} from '../../events/manufacturing-event.ts';
import type { EventWarning, Rejection, RejectionReason } from '../../events/rejection.ts';
import { quoted } from '../../events/secret-texts.ts';
import type { EnrollmentProfile } from '../ledger/profiles.ts';

const soonInMs = 30 * 24 * 3_600_000;

const certificateReasons = {
  unreadable: 'invalid-attestation',
  expired: 'certificate-expired',
  'not-yet-valid': 'certificate-not-yet-valid',
  weak: 'certificate-weak',
  'not-a-ca': 'certificate-not-a-ca',
  'name-mismatch': 'certificate-name-mismatch',
} as const satisfies Record<string, RejectionReason>;

export function validateAttestation(
  event: ManufacturingEvent,
  definition: DefinitionData,
  profile: EnrollmentProfile,
  now: Date,
  warnings: EventWarning[],
): Rejection[] {
  const { attestation } = definition;
  if (event.subjectKind === 'device' && profile.enrollment === 'group') {
    return validateMember(event, attestation, now, warnings);
  }
  const type = attestation?.type ?? profile.attestation;
  const product = quoted(definition.product);
  if (type === undefined) {
    const detail = `The attestation is missing: the profile of ${product} leaves it to the event.`;
    return reject('', detail);
  }
  if (profile.attestation !== undefined && type !== profile.attestation) {
    const detail = `The profile of ${product} wants ${profile.attestation}, not ${type}.`;
    return reject('/type', detail);
  }
  switch (type) {
    case 'symmetricKey':
      return validateKeys(attestation);
    case 'tpm':
      return validateTpm(event, attestation);
    default:
      return attestation?.type === 'x509'
        ? validateX509(event, attestation, now, warnings)
        : reject('', 'The attestation is missing: an X.509 enrollment needs a certificate.');
  }
}

function validateKeys(attestation: AttestationData | undefined): Rejection[] {
  if (attestation?.type !== 'symmetricKey') {
    return [];
  }
  const other = { primaryKey: 'secondaryKey', secondaryKey: 'primaryKey' } as const;
  return (['primaryKey', 'secondaryKey'] as const).flatMap((name) => {
    const key = attestation[name];
    if (key === undefined && attestation[other[name]] !== undefined) {
      const detail = `The ${name} is missing. Send both keys, or neither: then DPS generates them.`;
      return reject(`/${name}`, detail);
    }
    const problem = key === undefined ? undefined : symmetricKeyProblem(key);
    return problem === undefined ? [] : reject(`/${name}`, problem);
  });
}

function validateTpm(
  { subjectKind }: ManufacturingEvent,
  attestation: AttestationData | undefined,
): Rejection[] {
  if (subjectKind === 'batch') {
    return reject('/type', 'DPS has no enrollment groups with TPM.');
  }
  if (attestation?.type !== 'tpm') {
    const detail = 'The attestation is missing: a TPM enrollment needs the endorsementKey of the device.';
    return reject('', detail);
  }
  if (!readTpmPublic(attestation.endorsementKey)) {
    const detail =
      'The endorsementKey must be base64 of the TPM2B_PUBLIC of an RSA or ECC key, as tpm2_readpublic and the Azure SDKs give it (it begins AToAAQ for RSA 2048).';
    return reject('/endorsementKey', detail);
  }
  return [];
}

function validateMember(
  event: ManufacturingEvent,
  attestation: AttestationData | undefined,
  now: Date,
  warnings: EventWarning[],
): Rejection[] {
  if (attestation === undefined) {
    return [];
  }
  const isLeafAlone =
    attestation.type === 'x509' &&
    attestation.certificate !== undefined &&
    Object.keys(attestation).length === 2;
  if (!isLeafAlone) {
    const detail =
      "A member of an enrollment group may bring its leaf certificate (type x509, certificate) and nothing else: the group's attestation is the device's.";
    return reject('', detail);
  }
  const expected = { registrationId: event.subject };
  return validateCertificate(attestation.certificate ?? '', 'certificate', expected, now, warnings);
}

function validateX509(
  event: ManufacturingEvent,
  attestation: X509Data,
  now: Date,
  warnings: EventWarning[],
): Rejection[] {
  const forBatch = event.subjectKind === 'batch';
  const own = forBatch
    ? (['signingCertificate', 'secondarySigningCertificate'] as const)
    : (['certificate', 'secondaryCertificate'] as const);
  const expected = forBatch ? { mustBeCa: true } : { registrationId: event.subject };
  const certificates = own.flatMap((name) => {
    const text = attestation[name];
    return text === undefined ? [] : validateCertificate(text, name, expected, now, warnings);
  });
  return [...misplacedMembers(attestation, own, forBatch), ...certificates];
}

type CertificateMember = Exclude<keyof X509Data, 'type' | 'caReference' | 'secondaryCaReference'>;

function misplacedMembers(
  attestation: X509Data,
  own: readonly [CertificateMember, CertificateMember],
  forBatch: boolean,
): Rejection[] {
  const allowed: readonly string[] = forBatch ? [...own, 'caReference', 'secondaryCaReference'] : own;
  const whose = forBatch ? 'a batch, whose group is' : 'a device, whose enrollment is';
  const rejections = Object.keys(attestation)
    .filter((name) => name !== 'type' && !allowed.includes(name))
    .flatMap((foreign) =>
      reject(`/${foreign}`, `${foreign} does not belong to ${whose} made with ${allowed.join(', ')}.`),
    );
  const usesCa = forBatch && attestation.caReference !== undefined;
  if (attestation[own[0]] === undefined && !usesCa) {
    const detail = forBatch
      ? 'The signingCertificate is missing; a caReference would do, too.'
      : 'The certificate of the device is missing.';
    rejections.push(...reject(`/${own[0]}`, detail));
  }
  if (usesCa && own.some((name) => attestation[name] !== undefined)) {
    rejections.push(...reject('/caReference', 'Send signing certificates or CA references, not both.'));
  }
  return rejections;
}

function validateCertificate(
  text: string,
  member: string,
  expected: { readonly registrationId?: string; readonly mustBeCa?: boolean },
  now: Date,
  warnings: EventWarning[],
): Rejection[] {
  // DPS takes one certificate; which of several is meant is not for us to guess.
  if (text.split('-----BEGIN CERTIFICATE-----').length > 2) {
    return reject(`/${member}`, `The ${member} holds several certificates. Send one, without its chain.`);
  }
  const { info, problems, expiresInMs } = checkCertificate(text, { now, ...expected });
  if (problems.length > 0) {
    return problems.flatMap(({ code, detail }) => reject(`/${member}`, detail, certificateReasons[code]));
  }
  if (expiresInMs !== undefined && expiresInMs < soonInMs) {
    warn(warnings, 'certificate-expires-soon');
  }
  if (expected.mustBeCa && info?.authority === 'absent') {
    warn(warnings, 'certificate-not-marked-ca');
  }
  return [];
}

function warn(warnings: EventWarning[], warning: EventWarning): void {
  if (!warnings.includes(warning)) {
    warnings.push(warning);
  }
}

function reject(
  member: string,
  detail: string,
  reason: RejectionReason = 'invalid-attestation',
): [Rejection] {
  return [{ reason, pointer: `/data/attestation${member}`, detail }];
}
