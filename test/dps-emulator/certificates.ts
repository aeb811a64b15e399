import '../../src/local/dps/reflect-metadata.ts';
import { createPrivateKey, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;

x509.cryptoProvider.set(webcrypto);

export interface Identity {
  certificate: x509.X509Certificate;
  keys: webcrypto.CryptoKeyPair;
  pem: string;
  /** PKCS#8. */
  keyPem: string;
}

export interface CertificateOptions {
  issuer?: Identity;
  isAuthority?: boolean;
  notBefore?: Date;
  notAfter?: Date;
}

/** Makes a certificate for tests; self-signed without an issuer. */
export async function makeCertificate(subject: string, options: CertificateOptions = {}): Promise<Identity> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: options.issuer?.certificate.subject ?? subject,
    publicKey: keys.publicKey,
    signingKey: options.issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: algorithm,
    notBefore: options.notBefore ?? new Date(Date.now() - dayMs),
    notAfter: options.notAfter ?? new Date(Date.now() + 365 * dayMs),
    extensions: [new x509.BasicConstraintsExtension(options.isAuthority ?? false, undefined, true)],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const keyPem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({
    format: 'pem',
    type: 'pkcs8',
  });
  return { certificate, keys, pem: certificate.toString('pem'), keyPem: String(keyPem) };
}

/** A PKCS#10 request, base64 of DER. */
export async function makeRequest(subject: string): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys,
    signingAlgorithm: algorithm,
  });
  return request.toString('base64');
}
