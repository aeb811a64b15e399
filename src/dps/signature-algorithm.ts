/** The hashes of the common signature algorithms, by object identifier in DER (RFC 8017, 5758, 3279). */
const HASH_BY_OID: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'MD5',
  '2a864886f70d010105': 'SHA1',
  '2a864886f70d01010e': 'SHA224',
  '2a864886f70d01010b': 'SHA256',
  '2a864886f70d01010c': 'SHA384',
  '2a864886f70d01010d': 'SHA512',
  '2a8648ce3d0401': 'SHA1',
  '2a8648ce3d040301': 'SHA224',
  '2a8648ce3d040302': 'SHA256',
  '2a8648ce3d040303': 'SHA384',
  '2a8648ce3d040304': 'SHA512',
};

const RSASSA_PSS = '2a864886f70d01010a';
/** 2.16.840.1.101.3.4.2.n, in the parameters of RSASSA-PSS. */
const PSS_HASH = /0609608648016503040(20[1-4])/;
const PSS_HASH_NAMES: Readonly<Record<string, string>> = {
  '201': 'SHA256',
  '202': 'SHA384',
  '203': 'SHA512',
  '204': 'SHA224',
};

/**
 * The hash that a certificate was signed over, or nothing if the algorithm is none of the common ones.
 * `node:crypto` does not tell it on all supported versions.
 *
 * Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, parameters }, … }
 */
export function signatureAlgorithmOf(der: Buffer): string | undefined {
  const certificate = elementAt(der, 0);
  const toBeSigned = elementAt(der, certificate.start);
  const algorithm = elementAt(der, toBeSigned.end);
  const identifier = elementAt(der, algorithm.start);
  const oid = der.toString('hex', identifier.start, identifier.end);
  if (oid !== RSASSA_PSS) {
    return HASH_BY_OID[oid];
  }
  // Parameters left out mean SHA-1 (RFC 8017, A.2.3).
  const parameters = der.toString('hex', identifier.end, algorithm.end);
  return PSS_HASH_NAMES[PSS_HASH.exec(parameters)?.[1] ?? ''] ?? 'SHA1';
}

/** Where the content of the DER element at an offset starts and ends. */
function elementAt(der: Buffer, offset: number): { start: number; end: number } {
  const first = der[offset + 1] ?? 0;
  if (first < 0x80) {
    return { start: offset + 2, end: offset + 2 + first };
  }
  const lengthBytes = first & 0x7f;
  const start = offset + 2 + lengthBytes;
  return { start, end: start + der.readUIntBE(offset + 2, lengthBytes) };
}
