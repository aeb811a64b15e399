import { type DerElement, DerError, type DerReader, derTags, hexOf } from './der.ts';

/** What a subjectPublicKeyInfo says of its key. */
export interface PublicKeyInfo {
  /** `rsa`, `rsa-pss`, `ec`, `ed25519`, `ed448`, `x25519`, `x448`, `dsa`, or `unknown`. */
  readonly type: string;
  /** The modulus of RSA, the field of EC; absent for keys that come in one size or are not known. */
  readonly bits: number | undefined;
  /** Of EC: `prime256v1`, `brainpoolP256r1`, …; absent where the curve is not one of those listed here. */
  readonly curve: string | undefined;
  /** A sentence that says why nobody should rely on such a key; absent if it is fine. */
  readonly weakness: string | undefined;
}

const rsaOid = '2a864886f70d010101';
const rsaPss = '2a864886f70d01010a';
const ecOid = '2a8648ce3d0201';

const otherTypes: Readonly<Record<string, string>> = {
  '2b656e': 'x25519',
  '2b656f': 'x448',
  '2b6570': 'ed25519',
  '2b6571': 'ed448',
  '2a8648ce380401': 'dsa',
};
const signingTypes: ReadonlySet<string> = new Set(['ed25519', 'ed448']);

/**
 * The curves that are known here. Of all others, explicit parameters among them, nothing is computed: Node 24 ends with a
 * segmentation fault on some of them (`X509Certificate.toLegacyObject()`, `TLSSocket.getPeerCertificate()`).
 */
const curves: Readonly<Record<string, { readonly name: string; readonly bits: number }>> = {
  '2a8648ce3d030101': { name: 'prime192v1', bits: 192 },
  '2a8648ce3d030107': { name: 'prime256v1', bits: 256 },
  '2b81040021': { name: 'secp224r1', bits: 224 },
  '2b8104000a': { name: 'secp256k1', bits: 256 },
  '2b81040022': { name: 'secp384r1', bits: 384 },
  '2b81040023': { name: 'secp521r1', bits: 521 },
  ...brainpool(['160', '192', '224', '256', '320', '384', '512']),
};

const minRsaBits = 2048;
/** What OpenSSL computes with at most. */
const maxRsaBits = 16_384;
const maxExponentBytes = 8;
const minEcBits = 256;

/** SubjectPublicKeyInfo ::= SEQUENCE { algorithm SEQUENCE { OID, parameters }, subjectPublicKey BIT STRING }. @throws DerError */
export function readPublicKeyInfo(outer: DerReader, element: DerElement): PublicKeyInfo {
  const reader = outer.inside(element);
  const algorithm = reader.inside(reader.next(derTags.sequence));
  const key = reader.next(derTags.bitString);
  reader.finish();
  const oid = hexOf(algorithm.content(algorithm.next(derTags.objectIdentifier)));
  const bytes = reader.content(key);
  if (bytes[0] !== 0) {
    throw new DerError('A public key is not a whole number of bytes.');
  }
  if (oid === rsaOid || oid === rsaPss) {
    return rsaInfo(oid === rsaOid ? 'rsa' : 'rsa-pss', reader.inside({ ...key, start: key.start + 1 }));
  }
  if (oid === ecOid) {
    return ecInfo(algorithm, bytes);
  }
  const type = otherTypes[oid] ?? 'unknown';
  const weakness = signingTypes.has(type)
    ? undefined
    : `The certificate's key (${type}) is none that a device can prove to have in a TLS handshake; use RSA or EC.`;
  return { type, bits: undefined, curve: undefined, weakness };
}

/** RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } */
function rsaInfo(type: string, outer: DerReader): PublicKeyInfo {
  const reader = outer.inside(outer.next(derTags.sequence));
  outer.finish();
  const modulus = unsigned(reader);
  const exponent = unsigned(reader);
  reader.finish();
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  return { type, bits, curve: undefined, weakness: rsaWeakness(bits, exponent) };
}

function rsaWeakness(bits: number, exponent: Uint8Array): string | undefined {
  if (bits < minRsaBits) {
    return `The certificate's RSA key has ${bits} bits; it should have ${minRsaBits} or more.`;
  }
  if (bits > maxRsaBits) {
    return `The certificate's RSA key has ${bits} bits; ${maxRsaBits} is what a service computes with at most.`;
  }
  const isOdd = ((exponent.at(-1) ?? 0) & 1) === 1;
  const isOne = exponent.length === 1 && exponent[0] === 1;
  if (!isOdd || isOne || exponent.length > maxExponentBytes) {
    return "The certificate's RSA key has a public exponent that is not usable; 65537 is usual.";
  }
  return undefined;
}

function ecInfo(algorithm: DerReader, point: Uint8Array): PublicKeyInfo {
  const parameters = algorithm.next();
  algorithm.finish();
  const isNamed = parameters.tag === derTags.objectIdentifier;
  const curve = isNamed ? curves[hexOf(algorithm.content(parameters))] : undefined;
  if (curve === undefined) {
    const which = isNamed ? 'on a curve that is not in common use' : 'with curve parameters of its own';
    const weakness = `The certificate's EC key is ${which}; use P-256, P-384, P-521 or brainpoolP256r1 and above.`;
    return { type: 'ec', bits: undefined, curve: undefined, weakness };
  }
  if (!isPoint(point.subarray(1), Math.ceil(curve.bits / 8))) {
    throw new DerError('A public key is not a point of its curve.');
  }
  const weakness =
    curve.bits < minEcBits
      ? `The certificate's EC key has ${curve.bits} bits; it should have ${minEcBits} or more.`
      : undefined;
  return { type: 'ec', bits: curve.bits, curve: curve.name, weakness };
}

/** Uncompressed or compressed, of the field's size. */
function isPoint(point: Uint8Array, size: number): boolean {
  if (point[0] === 4) {
    return point.length === 1 + 2 * size;
  }
  return (point[0] === 2 || point[0] === 3) && point.length === 1 + size;
}

/** A positive INTEGER without its leading zero. */
function unsigned(reader: DerReader): Uint8Array {
  const content = reader.content(reader.next(derTags.integer));
  const bytes = content[0] === 0 ? content.subarray(1) : content;
  if (content.length === 0 || bytes.length === 0 || (content[0] ?? 0) >= 0x80) {
    throw new DerError('A number of a public key is not positive.');
  }
  return bytes;
}

/** RFC 5639: P160r1 is 1.3.36.3.3.2.8.1.1.1, its twisted twin .2, and so on. */
function brainpool(sizes: readonly string[]) {
  return Object.fromEntries(
    sizes.flatMap((size, index) =>
      ['r1', 't1'].map((variant, twin) => [
        `2b240303020801010${(2 * index + twin + 1).toString(16)}`,
        { name: `brainpoolP${size}${variant}`, bits: Number(size) },
      ]),
    ),
  );
}
