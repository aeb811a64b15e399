import '../dps/reflect-metadata.ts';
import { createECDH, createHash, createPrivateKey, type KeyObject, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/**
 * Keys and certificates of the demo's devices. Keys are derived from names, so that the shift file can hold
 * certificates while no private key lies anywhere. They protect nothing: never do this for a real device.
 */
export interface DemoIdentity {
  readonly name: string;
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
}

const curve = { name: 'ECDSA', namedCurve: 'P-256' };
const signing = { name: 'ECDSA', hash: 'SHA-256' };

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export const longValidity: Validity = {
  notBefore: new Date('2026-01-01T00:00:00Z'),
  notAfter: new Date('2056-01-01T00:00:00Z'),
};

/** Issued by `issuer`, or by itself. */
export async function issueCertificate(
  name: string,
  options: { readonly issuer?: string; readonly ca?: boolean; readonly validity?: Validity } = {},
): Promise<DemoIdentity> {
  const { issuer = name, ca = false, validity = longValidity } = options;
  const [subjectKey, issuerKey] = [demoKey(name), demoKey(issuer)];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: createHash('sha256').update(`serial ${name} ${issuer}`).digest('hex').slice(0, 30),
    subject: `CN=${name}`,
    issuer: `CN=${issuer}`,
    ...validity,
    publicKey: await webcrypto.subtle.importKey('jwk', publicJwk(subjectKey), curve, true, ['verify']),
    signingKey: await webcrypto.subtle.importKey('jwk', jwkOf(issuerKey), curve, true, ['sign']),
    signingAlgorithm: signing,
    extensions: [
      new BasicConstraintsExtension(ca, undefined, true),
      new KeyUsagesExtension(
        ca ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign : KeyUsageFlags.digitalSignature,
        true,
      ),
    ],
  });
  return { name, certificate: `${certificate.toString('pem')}\n`, privateKey: pemOf(subjectKey) };
}

/** 64 bytes, base64: symmetric keys that a line writes into its devices. */
export function demoSymmetricKey(name: string, slot: 'primary' | 'secondary'): string {
  return createHash('sha512').update(`demo symmetric key ${slot} ${name}`).digest('base64');
}

/** The private key of a demo device or authority, as PEM. */
export function demoPrivateKey(name: string): string {
  return pemOf(demoKey(name));
}

function demoKey(name: string): KeyObject {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(createHash('sha256').update(`demo private key ${name}`).digest());
  const point = ecdh.getPublicKey();
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: ecdh.getPrivateKey().toString('base64url'),
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

function jwkOf(key: KeyObject): webcrypto.JsonWebKey {
  return key.export({ format: 'jwk' }) as webcrypto.JsonWebKey;
}

function publicJwk(key: KeyObject): webcrypto.JsonWebKey {
  const { d: _, ...rest } = jwkOf(key);
  return rest;
}

function pemOf(key: KeyObject): string {
  return String(key.export({ format: 'pem', type: 'pkcs8' }));
}
