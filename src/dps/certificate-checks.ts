import { type ReadCertificate, readCertificateText } from './certificate-reader.ts';

/**
 * `weak`: RSA under 2048 bits, EC under 256, a curve or a kind of key that is not in common use, or signed with SHA-1 or
 * MD5.
 */
export type CertificateProblemCode =
  | 'unreadable'
  | 'expired'
  | 'not-yet-valid'
  | 'weak'
  | 'not-a-ca'
  | 'name-mismatch';

/** A reason why DPS, or the devices, would come to grief with a certificate. */
export interface CertificateProblem {
  readonly code: CertificateProblemCode;
  /** A sentence for people, with the values at fault. */
  readonly detail: string;
}

/** What a certificate says. Thumbprints and serial number are upper-case hex. */
export interface CertificateInfo {
  /** As DPS writes it: `CN=dev-1, O=Contoso`. */
  readonly subjectName: string;
  readonly issuerName: string;
  readonly commonName: string | undefined;
  readonly serialNumber: string;
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isCa: boolean;
  /** What basicConstraints says; `absent` where the certificate has no such extension. */
  readonly authority: 'yes' | 'no' | 'absent';
  /** `rsa`, `ec`, `ed25519`, …, `unknown`. */
  readonly keyType: string;
  /** The modulus of RSA, the field of EC; absent for keys that come in one size. */
  readonly keyBits: number | undefined;
  /** `SHA256`, `SHA1`, `MD5`, …; absent for algorithms that are none of the common ones. */
  readonly signatureHash: string | undefined;
}

/** What {@link checkCertificate} is to hold the certificate against. */
export interface CertificateExpectations {
  readonly now: Date;
  /** The device's registration id: DPS wants it as the common name. */
  readonly registrationId?: string | undefined;
  /** For signing certificates of enrollment groups. */
  readonly mustBeCa?: boolean | undefined;
}

/** What {@link checkCertificate} found. `info` and `expiresInMs` are absent if the text is unreadable. */
export interface CertificateCheck {
  readonly info: CertificateInfo | undefined;
  readonly problems: readonly CertificateProblem[];
  /** From `now`; negative if expired. */
  readonly expiresInMs: number | undefined;
}

const weakHashes: ReadonlySet<string> = new Set(['MD2', 'MD4', 'MD5', 'SHA1']);

/**
 * Checks a certificate before it becomes part of an enrollment.
 *
 * @param text - PEM, or base64 of DER. Of a chain the first certificate counts, which is the leaf.
 * @returns what it says and what is wrong with it; no problems means that it is good to send.
 */
export function checkCertificate(text: string, expectations: CertificateExpectations): CertificateCheck {
  const certificate = readCertificateText(text);
  if (typeof certificate === 'string') {
    return {
      info: undefined,
      problems: [{ code: 'unreadable', detail: certificate }],
      expiresInMs: undefined,
    };
  }
  const info = infoOf(certificate);
  const problems = [
    validityProblem(info, expectations.now),
    strengthProblem(certificate),
    expectations.mustBeCa && info.authority === 'no' ? notACa(info) : undefined,
    nameProblem(info, expectations.registrationId),
  ];
  return {
    info,
    problems: problems.filter((problem) => problem !== undefined),
    expiresInMs: info.notAfter.getTime() - expectations.now.getTime(),
  };
}

function infoOf(certificate: ReadCertificate): CertificateInfo {
  const { subject, issuer, publicKey, authority } = certificate;
  return {
    subjectName: subject.text,
    issuerName: issuer.text,
    commonName: subject.commonName,
    serialNumber: certificate.serialNumber,
    sha1Thumbprint: certificate.sha1Thumbprint,
    sha256Thumbprint: certificate.sha256Thumbprint,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    isCa: authority === 'yes',
    authority,
    keyType: publicKey.type,
    keyBits: publicKey.bits,
    signatureHash: certificate.signatureHash,
  };
}

function validityProblem(info: CertificateInfo, now: Date): CertificateProblem | undefined {
  if (now > info.notAfter) {
    return { code: 'expired', detail: `The certificate expired at ${info.notAfter.toISOString()}.` };
  }
  if (now < info.notBefore) {
    return {
      code: 'not-yet-valid',
      detail: `The certificate is valid only from ${info.notBefore.toISOString()} on.`,
    };
  }
  return undefined;
}

function strengthProblem({ publicKey, signatureHash }: ReadCertificate): CertificateProblem | undefined {
  if (publicKey.weakness !== undefined) {
    return { code: 'weak', detail: publicKey.weakness };
  }
  if (signatureHash && weakHashes.has(signatureHash)) {
    return {
      code: 'weak',
      detail: `The certificate is signed with ${signatureHash}; it should be SHA-256 or better.`,
    };
  }
  return undefined;
}

function notACa(info: CertificateInfo): CertificateProblem {
  return {
    code: 'not-a-ca',
    detail: `"${info.subjectName}" is not the certificate of an authority (it says basicConstraints CA:FALSE), so it signs no devices.`,
  };
}

function nameProblem(
  info: CertificateInfo,
  registrationId: string | undefined,
): CertificateProblem | undefined {
  // Registration ids are compared without case.
  if (registrationId === undefined || info.commonName?.toLowerCase() === registrationId.toLowerCase()) {
    return undefined;
  }
  const found =
    info.commonName === undefined ? 'has no common name' : `has the common name "${info.commonName}"`;
  return {
    code: 'name-mismatch',
    detail: `The certificate ${found}; it must be the registration id, "${registrationId}".`,
  };
}
