import { type CertificateProblemCode, checkCertificate } from './certificate-checks.ts';
import type { AttestationMechanism, X509Certificates } from './models.ts';
import { symmetricKeyProblem } from './symmetric-keys.ts';
import { readTpmPublic } from './tpm-public.ts';

/** A reason not to send an attestation. */
export interface AttestationProblem {
  /** `bad-key`: not a key that DPS takes. `not-for-groups`: a TPM is one device's. */
  readonly code: CertificateProblemCode | 'bad-key' | 'not-for-groups';
  /** The member at fault, as `x509.clientCertificates.primary`. */
  readonly member: string;
  /** A sentence for people; it never holds a key. */
  readonly detail: string;
}

/** What {@link checkAttestation} is to hold the attestation against. */
export interface AttestationExpectations {
  readonly now: Date;
  /** The registration id of an individual enrollment; leave it out for a group. */
  readonly registrationId?: string | undefined;
}

/**
 * Checks keys and certificates of an attestation before it is sent: base64 and length of keys; certificates
 * as {@link checkCertificate} does, with the registration id as common name for clients, and as authorities for
 * signers. Slots that hold the service's `info` alone pass.
 *
 * @returns nothing if there is nothing to object to.
 */
export function checkAttestation(
  attestation: AttestationMechanism,
  expectations: AttestationExpectations,
): AttestationProblem[] {
  switch (attestation.type) {
    case 'symmetricKey':
      return keyProblems('symmetricKey', attestation.symmetricKey ?? {});
    case 'tpm':
      return tpmProblems(attestation.tpm, expectations);
    case 'x509': {
      const { clientCertificates, signingCertificates } = attestation.x509;
      return [
        ...certificateProblems('x509.clientCertificates', clientCertificates, expectations),
        ...certificateProblems('x509.signingCertificates', signingCertificates, {
          now: expectations.now,
          mustBeCa: true,
        }),
      ];
    }
    default:
      return [];
  }
}

function keyProblems(member: string, keys: object): AttestationProblem[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const detail = key === null || key === undefined ? undefined : symmetricKeyProblem(String(key));
    return detail ? [{ code: 'bad-key' as const, member: `${member}.${name}`, detail }] : [];
  });
}

function tpmProblems(
  { endorsementKey }: { endorsementKey: string },
  { registrationId }: AttestationExpectations,
): AttestationProblem[] {
  if (registrationId === undefined) {
    const detail = 'A TPM belongs to one device, so DPS has no enrollment groups with it.';
    return [{ code: 'not-for-groups', member: 'tpm', detail }];
  }
  if (!readTpmPublic(endorsementKey)) {
    const detail = 'The endorsement key is not base64 of a TPM2B_PUBLIC of an RSA or ECC key.';
    return [{ code: 'bad-key', member: 'tpm.endorsementKey', detail }];
  }
  return [];
}

function certificateProblems(
  member: string,
  certificates: X509Certificates | undefined,
  expectations: { now: Date; registrationId?: string | undefined; mustBeCa?: boolean },
): AttestationProblem[] {
  return (['primary', 'secondary'] as const).flatMap((slot) => {
    const certificate = certificates?.[slot]?.certificate;
    if (certificate === undefined) {
      return [];
    }
    const { problems } = checkCertificate(certificate, expectations);
    return problems.map((problem) => ({ ...problem, member: `${member}.${slot}` }));
  });
}
