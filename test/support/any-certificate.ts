import { generateKeyPairSync, getCurves, type KeyObject, sign } from 'node:crypto';

/** Certificates by hand: of every curve that OpenSSL knows, and of kinds that no library makes. */
export interface AnyCertificate {
  readonly pem: string;
  readonly der: Buffer;
  readonly privateKey: KeyObject;
}

export interface CertificateParts {
  readonly name?: string;
  readonly issuer?: { readonly name: string; readonly privateKey: KeyObject };
  readonly keys?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  /** DER in place of the subject's public key. */
  readonly publicKeyInfo?: Buffer;
  /** DER in place of `Validity`. */
  readonly validity?: Buffer;
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** `yes`, `no`: basicConstraints; `absent`: no extension at all. */
  readonly authority?: 'yes' | 'no' | 'absent';
}

export function makeAnyCertificate(parts: CertificateParts = {}): AnyCertificate {
  const keys = parts.keys ?? generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const issuer = parts.issuer ?? { name: parts.name ?? 'dev-1', privateKey: keys.privateKey };
  const algorithm = signatureAlgorithmOf(issuer.privateKey);
  const authority = parts.authority ?? 'absent';
  const toBeSigned = der(0x30, [
    der(0xa0, [der(0x02, [Buffer.from([2])])]),
    der(0x02, [Buffer.from([0x0a, 1])]),
    algorithm,
    nameOf(issuer.name),
    parts.validity ??
      der(0x30, [
        der(0x18, [Buffer.from(parts.notBefore ?? '20250101000000Z')]),
        der(0x18, [Buffer.from(parts.notAfter ?? '20450101000000Z')]),
      ]),
    nameOf(parts.name ?? 'dev-1'),
    parts.publicKeyInfo ?? keys.publicKey.export({ format: 'der', type: 'spki' }),
    ...(authority === 'absent' ? [] : [der(0xa3, [der(0x30, [basicConstraints(authority === 'yes')])])]),
  ]);
  const signature = signatureOf(toBeSigned, issuer.privateKey);
  const whole = der(0x30, [toBeSigned, algorithm, der(0x03, [Buffer.from([0]), signature])]);
  return { pem: pemOf(whole), der: whole, privateKey: keys.privateKey };
}

export function pemOf(bytes: Buffer, label = 'CERTIFICATE'): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Each curve once by name and once with its parameters spelled out. */
export function certificatesOfAllCurves(name: string): { readonly what: string; readonly pem: string }[] {
  return getCurves().flatMap((namedCurve) =>
    (['named', 'explicit'] as const).flatMap((paramEncoding) => {
      const keys = keysOf(namedCurve, paramEncoding);
      return keys === undefined
        ? []
        : [{ what: `${namedCurve}, ${paramEncoding}`, pem: makeAnyCertificate({ name, keys }).pem }];
    }),
  );
}

function keysOf(namedCurve: string, paramEncoding: 'named' | 'explicit') {
  try {
    const keys = generateKeyPairSync('ec', { namedCurve, paramEncoding });
    keys.publicKey.export({ format: 'der', type: 'spki' });
    return keys;
  } catch {
    // Two of the oldest are listed, and have no object identifier.
    return undefined;
  }
}

function signatureAlgorithmOf(key: KeyObject): Buffer {
  const oids: Record<string, string> = { ec: '2a8648ce3d040302', ed25519: '2b6570', ed448: '2b6571' };
  const oid = oids[key.asymmetricKeyType ?? ''];
  const parameters = oid === undefined ? [der(0x05, [])] : [];
  return der(0x30, [der(0x06, [Buffer.from(oid ?? '2a864886f70d01010b', 'hex')]), ...parameters]);
}

function signatureOf(content: Buffer, key: KeyObject): Buffer {
  const isEdwards = key.asymmetricKeyType?.startsWith('ed');
  try {
    return sign(isEdwards ? null : 'sha256', content, key);
  } catch {
    // Of a curve that signs nothing: nobody checks it here.
    return Buffer.alloc(64, 1);
  }
}

function nameOf(commonName: string): Buffer {
  const value = der(0x0c, [Buffer.from(commonName)]);
  return der(0x30, [der(0x31, [der(0x30, [der(0x06, [Buffer.from('550403', 'hex')]), value])])]);
}

function basicConstraints(isAuthority: boolean): Buffer {
  const value = der(0x30, isAuthority ? [der(0x01, [Buffer.from([0xff])])] : []);
  return der(0x30, [
    der(0x06, [Buffer.from('551d13', 'hex')]),
    der(0x01, [Buffer.from([0xff])]),
    der(0x04, [value]),
  ]);
}

export function der(tag: number, contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) {
    return Buffer.from([length]);
  }
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}
