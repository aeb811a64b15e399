import { X509Certificate } from 'node:crypto';
import { type ReadCertificate, readCertificateText } from '../../dps/certificate-reader.ts';
import { ServiceError } from './errors.ts';

/** What the service shows of a certificate instead of its text. Dates like `2023-05-19T23:10:43Z`, hex in upper case. */
export interface X509CertificateInfo {
  subjectName: string;
  sha1Thumbprint: string;
  sha256Thumbprint: string;
  issuerName: string;
  notBeforeUtc: string;
  notAfterUtc: string;
  serialNumber: string;
  version: number;
}

/**
 * Reads a certificate as clients send it: PEM text, or base64 of the DER without header and footer.
 * @throws ServiceError `invalidArgument`
 */
export function parseCertificate(text: string): ReadCertificate {
  const certificate = readCertificateText(text);
  if (typeof certificate === 'string') {
    throw new ServiceError('invalidArgument', `A certificate cannot be read. ${certificate}`);
  }
  return certificate;
}

export function certificateInfo(certificate: ReadCertificate): X509CertificateInfo {
  return {
    subjectName: certificate.subject.text,
    sha1Thumbprint: certificate.sha1Thumbprint,
    sha256Thumbprint: certificate.sha256Thumbprint,
    issuerName: certificate.issuer.text,
    notBeforeUtc: withoutFraction(certificate.notBefore),
    notAfterUtc: withoutFraction(certificate.notAfter),
    serialNumber: certificate.serialNumber,
    version: certificate.version,
  };
}

export function isValidAt(certificate: ReadCertificate, ms: number): boolean {
  return certificate.notBefore.getTime() <= ms && ms <= certificate.notAfter.getTime();
}

/**
 * Whether one certificate was issued with another one's key. Whether that may be an authority is the caller's to say.
 * OpenSSL sees only keys of kinds that Node is known to survive.
 */
export function isIssuedBy(child: ReadCertificate, issuer: ReadCertificate): boolean {
  const { type, curve } = issuer.publicKey;
  const isKnownKey = type === 'ec' ? curve !== undefined : type.startsWith('rsa') || type.startsWith('ed');
  if (!isKnownKey || child.issuer.text !== issuer.subject.text) {
    return false;
  }
  try {
    const certificate = new X509Certificate(child.der);
    const authority = new X509Certificate(issuer.der);
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    return false;
  }
}

function withoutFraction(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
