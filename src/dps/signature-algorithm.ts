import { type DerElement, type DerReader, derTags, hexOf } from './der.ts';

/** The hashes of the common signature algorithms, by object identifier in DER (RFC 8017, 5758, 3279). */
const hashByOid: Readonly<Record<string, string>> = {
  '2a864886f70d010102': 'MD2',
  '2a864886f70d010103': 'MD4',
  '2a864886f70d010104': 'MD5',
  '2a864886f70d010105': 'SHA1',
  '2b0e03021d': 'SHA1',
  '2a864886f70d01010e': 'SHA224',
  '2a864886f70d01010b': 'SHA256',
  '2a864886f70d01010c': 'SHA384',
  '2a864886f70d01010d': 'SHA512',
  '2a8648ce3d0401': 'SHA1',
  '2a8648ce3d040301': 'SHA224',
  '2a8648ce3d040302': 'SHA256',
  '2a8648ce3d040303': 'SHA384',
  '2a8648ce3d040304': 'SHA512',
  '2a8648ce380403': 'SHA1',
};

const rsassaPss = '2a864886f70d01010a';
/** `[0]` in RSASSA-PSS-params: the hash. */
const pssHashTag = 0xa0;
/** 2.16.840.1.101.3.4.2.n */
const pssHashes: Readonly<Record<string, string>> = {
  '608648016503040201': 'SHA256',
  '608648016503040202': 'SHA384',
  '608648016503040203': 'SHA512',
  '608648016503040204': 'SHA224',
};

/**
 * The hash that a certificate was signed over, or nothing if the algorithm is none of the common ones.
 *
 * AlgorithmIdentifier ::= SEQUENCE { OID, parameters }
 *
 * @throws DerError
 */
export function readSignatureHash(outer: DerReader, element: DerElement): string | undefined {
  const reader = outer.inside(element);
  const oid = hexOf(reader.content(reader.next(derTags.objectIdentifier)));
  if (oid !== rsassaPss) {
    return hashByOid[oid];
  }
  // Parameters left out mean SHA-1 (RFC 8017, A.2.3).
  const parameters = reader.optional(derTags.sequence);
  const hash = parameters && reader.inside(parameters).optional(pssHashTag);
  if (hash === undefined) {
    return 'SHA1';
  }
  const tagged = reader.inside(hash);
  const algorithm = tagged.inside(tagged.next(derTags.sequence));
  return pssHashes[hexOf(algorithm.content(algorithm.next(derTags.objectIdentifier)))] ?? 'SHA1';
}
