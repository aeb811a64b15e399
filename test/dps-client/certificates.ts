import '../../src/local/dps/reflect-metadata.ts';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

export interface CertificateRequest {
  readonly name?: string;
  readonly algorithm?: webcrypto.RsaHashedKeyGenParams | (webcrypto.EcKeyGenParams & { hash?: string });
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean;
  readonly issuer?: { certificate: x509.X509Certificate; keys: webcrypto.CryptoKeyPair };
}

export const ec256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export function rsa(modulusLength: number, hash: string, name = 'RSASSA-PKCS1-v1_5') {
  // Salt as long as the hash, which RSA-PSS asks for.
  return {
    name,
    modulusLength,
    hash,
    saltLength: hash === 'SHA-1' ? 20 : 32,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
}

/** Makes a real certificate; valid for a year around now unless told otherwise. */
export async function makeCertificate(request: CertificateRequest = {}) {
  const algorithm = request.algorithm ?? ec256;
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const day = 86_400_000;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '0a01',
    subject: request.name ?? 'CN=dev-1',
    issuer: request.issuer?.certificate.subject ?? request.name ?? 'CN=dev-1',
    notBefore: request.notBefore ?? new Date(Date.now() - day),
    notAfter: request.notAfter ?? new Date(Date.now() + 364 * day),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: request.issuer?.keys.privateKey ?? keys.privateKey,
    extensions: [new x509.BasicConstraintsExtension(request.ca ?? false, undefined, true)],
  });
  return { pem: certificate.toString('pem'), certificate, keys };
}
