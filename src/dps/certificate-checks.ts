import { type KeyObject, X509Certificate } from 'node:crypto';
import { signatureAlgorithmOf } from './signature-algorithm.ts';

/** `weak`: RSA under 2048 bits, EC under 256, or signed with SHA-1 or MD5. */
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
  /** `rsa`, `ec`, `ed25519`, … */
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

const MIN_RSA_BITS = 2048;
const MIN_EC_BITS = 256;
const WEAK_HASHES: ReadonlySet<string> = new Set(['MD5', 'SHA1']);

/**
 * Checks a certificate before it becomes part of an enrollment.
 *
 * @param text - PEM, or base64 of DER. Of a chain the first certificate counts, which is the leaf.
 * @returns what it says and what is wrong with it; no problems means that it is good to send.
 */
export function checkCertificate(text: string, expectations: CertificateExpectations): CertificateCheck {
  const certificate = readCertificate(text);
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
    strengthProblem(info),
    expectations.mustBeCa && !info.isCa ? notACa(info) : undefined,
    nameProblem(info, expectations.registrationId),
  ];
  return {
    info,
    problems: problems.filter((problem) => problem !== undefined),
    expiresInMs: info.notAfter.getTime() - expectations.now.getTime(),
  };
}

const FIRST_PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/;

/** The certificate, or a sentence that says why there is none. */
function readCertificate(text: string): X509Certificate | string {
  if (text.includes('PRIVATE KEY-----')) {
    return 'The text holds a private key, which must not leave where it was made. Send the certificate alone.';
  }
  const pem = FIRST_PEM_CERTIFICATE.exec(text)?.[0];
  if (!pem && text.includes('-----BEGIN')) {
    return 'The PEM text holds no whole certificate (BEGIN CERTIFICATE to END CERTIFICATE).';
  }
  if (!pem && !/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text)) {
    return 'The text is neither PEM nor base64 of DER.';
  }
  try {
    const certificate = new X509Certificate(pem ?? Buffer.from(text, 'base64'));
    certificate.publicKey;
    return certificate;
  } catch {
    return 'The text is not an X.509 certificate that can be read.';
  }
}

function infoOf(certificate: X509Certificate): CertificateInfo {
  const key = certificate.publicKey;
  return {
    subjectName: nameOf(certificate.subject),
    issuerName: nameOf(certificate.issuer),
    commonName: commonNameOf(certificate),
    serialNumber: certificate.serialNumber.toUpperCase(),
    sha1Thumbprint: certificate.fingerprint.replaceAll(':', ''),
    sha256Thumbprint: certificate.fingerprint256.replaceAll(':', ''),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    isCa: certificate.ca,
    keyType: key.asymmetricKeyType ?? 'unknown',
    keyBits: bitsOf(key),
    signatureHash: signatureAlgorithmOf(certificate.raw),
  };
}

/** Node has a line a part, the most general first; .NET, and so DPS, writes the most special first. */
function nameOf(name: string | undefined): string {
  return (name ?? '').split('\n').reverse().join(', ');
}

function commonNameOf(certificate: X509Certificate): string | undefined {
  const name = certificate.toLegacyObject().subject?.CN;
  return Array.isArray(name) ? name.at(-1) : name;
}

/** `prime256v1`, `secp384r1`, `brainpoolP256r1`: the size is the first number of three digits. */
function bitsOf(key: KeyObject): number | undefined {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const curveBits = /\d{3}/.exec(namedCurve ?? '')?.[0];
  return modulusLength ?? (curveBits ? Number(curveBits) : undefined);
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

function strengthProblem(info: CertificateInfo): CertificateProblem | undefined {
  const { keyType, keyBits, signatureHash } = info;
  const minimum = keyType === 'ec' ? MIN_EC_BITS : MIN_RSA_BITS;
  if (keyBits !== undefined && keyBits < minimum) {
    return {
      code: 'weak',
      detail: `The certificate's ${keyType.toUpperCase()} key has ${keyBits} bits; it should have ${minimum} or more.`,
    };
  }
  if (signatureHash && WEAK_HASHES.has(signatureHash)) {
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
    detail: `"${info.subjectName}" is not the certificate of an authority (basicConstraints CA:TRUE), so it signs no devices.`,
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
