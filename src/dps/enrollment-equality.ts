import { readCertificateText } from './certificate-reader.ts';
import type {
  AttestationMechanism,
  EnrollmentGroup,
  IndividualEnrollment,
  SymmetricKeyAttestation,
  X509Attestation,
  X509Certificates,
  X509CertificateWithInfo,
} from './models.ts';

type Enrollment = IndividualEnrollment | EnrollmentGroup;
type Json = Record<string, unknown>;

/** Members that the service sets, or that are compared by a rule of their own. */
const notCompared: ReadonlySet<string> = new Set([
  'registrationId',
  'enrollmentGroupId',
  'registrationState',
  'etag',
  'createdDateTimeUtc',
  'lastUpdatedDateTimeUtc',
  'attestation',
]);

/** What it is the same to say and to leave out. */
const defaults: Readonly<Json> = {
  provisioningStatus: 'enabled',
  capabilities: { iotEdge: false },
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
};

/**
 * Whether a stored enrollment is what storing `sent` would have made: members that are null or left out are
 * equal to what the service makes of them, certificates are compared by thumbprint. `mechanism` is what
 * `getAttestationMechanism` answers, and needed where symmetric keys were sent: `get` does not carry them.
 */
export function isStoredAs(sent: Enrollment, stored: Enrollment, mechanism?: AttestationMechanism): boolean {
  return (
    isSameId(sent, stored) &&
    isSameJson(withDefaults(sent, idOf(sent)), withDefaults(stored, idOf(sent))) &&
    isSameAttestation(sent.attestation, mechanism ?? stored.attestation)
  );
}

function isSameId(sent: Enrollment, stored: Enrollment): boolean {
  return idOf(sent).toLowerCase() === idOf(stored).toLowerCase();
}

function idOf(enrollment: Enrollment): string {
  return 'registrationId' in enrollment ? enrollment.registrationId : enrollment.enrollmentGroupId;
}

function withDefaults(enrollment: Enrollment, deviceId: string): Json {
  const given = Object.entries(enrollment).filter(
    ([name, value]) => value !== null && value !== undefined && !notCompared.has(name),
  );
  return { ...defaults, deviceId, ...Object.fromEntries(given) };
}

/** As JSON has it: the order of members does not count, and undefined is absent. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) {
    return true;
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, i) => isSameJson(item, b[i]))
    );
  }
  if (!isObject(a) || !isObject(b)) {
    return false;
  }
  const names = presentNames(a);
  return (
    names.length === presentNames(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSameJson(a[name], b[name]))
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}

function presentNames(object: Json): string[] {
  return Object.keys(object).filter((name) => object[name] !== undefined);
}

function isSameAttestation(sent: AttestationMechanism, stored: AttestationMechanism): boolean {
  if (sent.type !== stored.type) {
    return false;
  }
  switch (sent.type) {
    case 'tpm':
      return (
        sent.tpm.endorsementKey === stored.tpm?.endorsementKey &&
        (sent.tpm.storageRootKey || undefined) === (stored.tpm?.storageRootKey || undefined)
      );
    case 'x509':
      return isSameX509(sent.x509, stored.x509 ?? {});
    case 'symmetricKey':
      return areSameKeys(sent.symmetricKey ?? {}, stored.symmetricKey ?? {});
    default:
      return true;
  }
}

/** A key that was not sent was generated, and so is right whatever it is. */
function areSameKeys(sent: SymmetricKeyAttestation, stored: SymmetricKeyAttestation): boolean {
  return (
    (!sent.primaryKey || sent.primaryKey === stored.primaryKey) &&
    (!sent.secondaryKey || sent.secondaryKey === stored.secondaryKey)
  );
}

function isSameX509(sent: X509Attestation, stored: X509Attestation): boolean {
  return (
    areSameCertificates(sent.clientCertificates, stored.clientCertificates) &&
    areSameCertificates(sent.signingCertificates, stored.signingCertificates) &&
    (sent.caReferences?.primary || undefined) === (stored.caReferences?.primary || undefined) &&
    (sent.caReferences?.secondary || undefined) === (stored.caReferences?.secondary || undefined)
  );
}

function areSameCertificates(sent: X509Certificates | undefined, stored: X509Certificates | undefined) {
  return (
    isSameCertificate(sent?.primary, stored?.primary) && isSameCertificate(sent?.secondary, stored?.secondary)
  );
}

function isSameCertificate(
  sent: X509CertificateWithInfo | null | undefined,
  stored: X509CertificateWithInfo | null | undefined,
): boolean {
  return thumbprintOf(sent) === thumbprintOf(stored);
}

function thumbprintOf(slot: X509CertificateWithInfo | null | undefined): string | undefined {
  if (!slot?.certificate) {
    return slot?.info?.sha256Thumbprint.toUpperCase();
  }
  const certificate = readCertificateText(slot.certificate);
  return typeof certificate === 'string' ? 'unreadable' : certificate.sha256Thumbprint;
}
