import { checkCertificate } from '../../dps/certificate-checks.ts';
import type { AttestationMechanism, IndividualEnrollment } from '../../dps/models.ts';

/** What keeps a member of a group out, since DPS looks at individual enrollments first. */
export function denyEnrollment(id: string, leafCertificate: string | undefined): IndividualEnrollment {
  const attestation: AttestationMechanism =
    leafCertificate === undefined
      ? { type: 'symmetricKey' }
      : { type: 'x509', x509: { clientCertificates: { primary: { certificate: leafCertificate } } } };
  return { registrationId: id, attestation, provisioningStatus: 'disabled' };
}

/** Only what keeps the device out counts: disabled, and with the leaf certificate where there is one. */
export function isDenying(actual: IndividualEnrollment, wanted: IndividualEnrollment): boolean {
  if (actual.provisioningStatus !== 'disabled' || actual.attestation.type !== wanted.attestation.type) {
    return false;
  }
  const leaf = wanted.attestation.x509?.clientCertificates?.primary?.certificate;
  if (leaf === undefined) {
    return true;
  }
  const thumbprint = checkCertificate(leaf, { now: new Date(0) }).info?.sha256Thumbprint;
  return (
    actual.attestation.x509?.clientCertificates?.primary?.info?.sha256Thumbprint.toUpperCase() === thumbprint
  );
}
