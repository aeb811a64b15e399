import { X509Certificate } from 'node:crypto';
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
export function parseCertificate(text: string): X509Certificate {
  const certificate = tryParse(
    text.includes('-----BEGIN') ? text : Buffer.from(text.replace(/\s/g, ''), 'base64'),
  );
  const dates = [certificate?.validFromDate, certificate?.validToDate];
  if (certificate === undefined || dates.some((date) => Number.isNaN(date?.getTime()))) {
    throw new ServiceError('invalidArgument', 'A certificate is neither PEM nor base64 of DER.');
  }
  return certificate;
}

function tryParse(content: string | Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(content);
  } catch {
    return undefined;
  }
}

export function certificateInfo(certificate: X509Certificate): X509CertificateInfo {
  return {
    subjectName: distinguishedName(certificate.subject),
    sha1Thumbprint: certificate.fingerprint.replaceAll(':', ''),
    sha256Thumbprint: certificate.fingerprint256.replaceAll(':', ''),
    issuerName: distinguishedName(certificate.issuer),
    notBeforeUtc: withoutFraction(certificate.validFromDate),
    notAfterUtc: withoutFraction(certificate.validToDate),
    serialNumber: certificate.serialNumber.toUpperCase(),
    version: versionOf(certificate.raw),
  };
}

export function sha256Thumbprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '');
}

/** The last CN of the subject: the most specific one. */
export function commonName(certificate: X509Certificate): string | undefined {
  const names = certificate.subject.split('\n').filter((part) => part.startsWith('CN='));
  return names.at(-1)?.slice('CN='.length);
}

export function isValidAt(certificate: X509Certificate, ms: number): boolean {
  return certificate.validFromDate.getTime() <= ms && ms <= certificate.validToDate.getTime();
}

/** Node gives a line an attribute, in the certificate's order; .NET prints them the other way round, most specific first. */
function distinguishedName(lines: string | undefined): string {
  return (lines ?? '').split('\n').filter(Boolean).reverse().map(attribute).join(', ');
}

/** .NET has short names of its own for two attributes, and quotes where OpenSSL escapes. */
function attribute(line: string): string {
  const equals = line.indexOf('=');
  const name = line
    .slice(0, equals)
    .replace(/^ST$/, 'S')
    .replace(/^emailAddress$/, 'E');
  const value = line.slice(equals + 1).replace(/\\([,+"\\<>;# ])/g, '$1');
  const isPlain = !/[,+="<>#;\n]|^\s|\s$/.test(value);
  return `${name}=${isPlain ? value : `"${value.replaceAll('"', '""')}"`}`;
}

function withoutFraction(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** TBSCertificate begins with `[0] { INTEGER version - 1 }`, unless the version is 1. */
function versionOf(der: Buffer): number {
  const tbs = contentStart(der, contentStart(der, 0));
  return der[tbs] === 0xa0 ? (der[tbs + 4] ?? 0) + 1 : 1;
}

function contentStart(der: Buffer, element: number): number {
  const length = der[element + 1] ?? 0;
  return element + 2 + (length < 0x80 ? 0 : length & 0x7f);
}
