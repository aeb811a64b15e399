import { createHash, createPublicKey } from 'node:crypto';
import { type DerElement, DerError, DerReader, derTags, hexOf } from './der.ts';
import { type DistinguishedName, readName } from './distinguished-name.ts';
import { type PublicKeyInfo, readPublicKeyInfo } from './public-key-info.ts';
import { readSignatureHash } from './signature-algorithm.ts';

/** Bytes of one certificate. */
export const maxCertificateBytes = 16 * 1024;
/** Characters of a text that may hold one, as a chain file does. */
const maxTextLength = 128 * 1024;

/** What a certificate says, as far as its DER tells. */
export interface ReadCertificate {
  readonly der: Uint8Array;
  readonly version: number;
  /** Upper-case hex. */
  readonly serialNumber: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: PublicKeyInfo;
  /** What the extension basicConstraints says; `absent` where there is none. */
  readonly authority: 'yes' | 'no' | 'absent';
  readonly signatureHash: string | undefined;
  /** Upper-case hex. */
  readonly sha1Thumbprint: string;
  readonly sha256Thumbprint: string;
}

const pemBegin = '-----BEGIN CERTIFICATE-----';
const pemEnd = '-----END CERTIFICATE-----';
const basicConstraintsOid = '551d13';

/**
 * Reads a certificate without asking OpenSSL for more than it is sure to survive: strangers send these texts. What it
 * takes grows with the length of the text.
 *
 * @param text - PEM, or base64 of DER. Of a chain the first certificate counts.
 * @returns what it says, or a sentence that says why there is none.
 */
export function readCertificateText(text: string): ReadCertificate | string {
  if (text.length > maxTextLength) {
    return `The text has ${text.length} characters; a certificate has ${maxCertificateBytes} bytes at most.`;
  }
  if (text.includes('PRIVATE KEY-----')) {
    return 'The text holds a private key, which must not leave where it was made. Send the certificate alone.';
  }
  const begin = text.indexOf(pemBegin);
  const end = begin < 0 ? -1 : text.indexOf(pemEnd, begin);
  if (text.includes('-----BEGIN') && end < 0) {
    return 'The PEM text holds no whole certificate (BEGIN CERTIFICATE to END CERTIFICATE).';
  }
  const base64 = begin < 0 ? text : text.slice(begin + pemBegin.length, end);
  const der = bytesOf(base64);
  if (der === undefined) {
    return 'The text is neither PEM nor base64 of DER.';
  }
  return readCertificateDer(der) ?? 'The text is not an X.509 certificate that can be read.';
}

/** @returns nothing if the bytes are not exactly one certificate of at most {@link MAX_CERTIFICATE_BYTES}. */
export function readCertificateDer(der: Uint8Array): ReadCertificate | undefined {
  if (der.length > maxCertificateBytes) {
    return undefined;
  }
  try {
    return read(der);
  } catch (error) {
    if (error instanceof DerError) {
      return undefined;
    }
    throw error;
  }
}

/** The certificate alone as PEM, without what stood around it. */
export function pemOf({ der }: ReadCertificate): string {
  const base64 = Buffer.from(der).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `${pemBegin}\n${lines.join('\n')}\n${pemEnd}\n`;
}

/** Base64 with white space anywhere; nothing if there is anything else. */
function bytesOf(text: string): Buffer | undefined {
  const base64 = text.replace(/[ \t\r\n]/g, '');
  const unpadded = base64.replace(/={1,2}$/, '');
  const bytes = Buffer.from(base64, 'base64');
  const isBase64 = bytes.length > 0 && bytes.toString('base64').replace(/={1,2}$/, '') === unpadded;
  return isBase64 ? bytes : undefined;
}

/** Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE, signature BIT STRING } */
function read(der: Uint8Array): ReadCertificate {
  const outer = new DerReader(der);
  const certificate = outer.inside(outer.next(derTags.sequence));
  outer.finish();
  const toBeSigned = certificate.inside(certificate.next(derTags.sequence));
  const signatureHash = readSignatureHash(certificate, certificate.next(derTags.sequence));
  certificate.next(derTags.bitString);
  certificate.finish();
  const says = readToBeSigned(toBeSigned, der);
  return {
    der,
    ...says,
    signatureHash,
    sha1Thumbprint: thumbprint('sha1', der),
    sha256Thumbprint: thumbprint('sha256', der),
  };
}

function readToBeSigned(reader: DerReader, der: Uint8Array) {
  const version = readVersion(reader);
  const serialNumber = readSerialNumber(reader);
  reader.next(derTags.sequence); // the signature algorithm once more
  const issuer = readName(reader, reader.next(derTags.sequence));
  const validity = reader.inside(reader.next(derTags.sequence));
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.finish();
  const subject = readName(reader, reader.next(derTags.sequence));
  const keyElement = reader.next(derTags.sequence);
  const publicKey = readPublicKeyInfo(reader, keyElement);
  refuseBrokenKey(publicKey, der.subarray(keyElement.from, keyElement.end));
  reader.optional(0x81); // issuerUniqueID
  reader.optional(0x82); // subjectUniqueID
  const extensions = reader.optional(0xa3);
  reader.finish();
  const authority = extensions ? readAuthority(reader, extensions) : 'absent';
  return { version, serialNumber, issuer, notBefore, notAfter, subject, publicKey, authority } as const;
}

/** `[0] { INTEGER version - 1 }`, unless the version is 1. */
function readVersion(reader: DerReader): number {
  const tagged = reader.optional(0xa0);
  if (tagged === undefined) {
    return 1;
  }
  const inner = reader.inside(tagged);
  const content = inner.content(inner.next(derTags.integer));
  inner.finish();
  const version = content.length === 1 ? (content[0] ?? 0) + 1 : 0;
  if (version < 1 || version > 3) {
    throw new DerError('There are no certificates of this version.');
  }
  return version;
}

/** As OpenSSL writes it: without the leading zero that keeps it positive. */
function readSerialNumber(reader: DerReader): string {
  const content = reader.content(reader.next(derTags.integer));
  if (content.length === 0) {
    throw new DerError('The serial number is empty.');
  }
  const bytes = content.length > 1 && content[0] === 0 ? content.subarray(1) : content;
  return hexOf(bytes).toUpperCase();
}

function readTime(reader: DerReader): Date {
  const element = reader.next();
  const text = Buffer.from(reader.content(element)).toString('latin1');
  const isShort = element.tag === derTags.utcTime;
  if (!isShort && element.tag !== derTags.generalizedTime) {
    throw new DerError('A date has another type than expected.');
  }
  const parts = (
    isShort ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
  ).exec(text);
  const [, year = '', month, day, hour, minute, second] = parts ?? [];
  // Two digits stand for 1950 to 2049 (RFC 5280, 4.1.2.5.1).
  const fullYear = isShort ? `${Number(year) < 50 ? 20 : 19}${year}` : year;
  const iso = `${fullYear}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const date = new Date(iso);
  if (parts === null || Number.isNaN(date.getTime()) || date.toISOString() !== iso) {
    throw new DerError('A date cannot be read.');
  }
  return date;
}

/** `[3] { SEQUENCE OF SEQUENCE { OID, critical BOOLEAN, value OCTET STRING } }` */
function readAuthority(outer: DerReader, element: DerElement): ReadCertificate['authority'] {
  const tagged = outer.inside(element);
  const extensions = tagged.inside(tagged.next(derTags.sequence));
  tagged.finish();
  let authority: ReadCertificate['authority'] = 'absent';
  while (!extensions.isAtEnd) {
    const extension = extensions.inside(extensions.next(derTags.sequence));
    const oid = hexOf(extension.content(extension.next(derTags.objectIdentifier)));
    extension.optional(derTags.boolean);
    const value = extension.next(derTags.octetString);
    extension.finish();
    if (oid !== basicConstraintsOid) {
      continue;
    }
    const wrapped = extension.inside(value);
    const constraints = wrapped.inside(wrapped.next(derTags.sequence));
    const isAuthority = constraints.optional(derTags.boolean);
    authority = isAuthority && constraints.content(isAuthority)[0] !== 0 ? 'yes' : 'no';
  }
  return authority;
}

/** Keys of the known kinds, and only those, are shown to OpenSSL: a point that is not on its curve is not a key. */
function refuseBrokenKey({ type, weakness }: PublicKeyInfo, info: Uint8Array): void {
  if (weakness !== undefined || type === 'rsa-pss') {
    return;
  }
  try {
    createPublicKey({ key: Buffer.from(info), format: 'der', type: 'spki' });
  } catch {
    throw new DerError('The public key cannot be read.');
  }
}

function thumbprint(hash: 'sha1' | 'sha256', der: Uint8Array): string {
  return createHash(hash).update(der).digest('hex').toUpperCase();
}
