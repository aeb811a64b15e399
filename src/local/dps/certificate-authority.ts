import './reflect-metadata.ts';
import { createPrivateKey, randomUUID, webcrypto } from 'node:crypto';
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { parseCertificate } from './certificate-info.ts';
import { keyOf } from './enrollment-kinds.ts';
import { invalid } from './json-input.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;
const authorityDays = 3_650;
const serverDays = 397;
const deviceDays = 90;
/** Clocks of clients may be behind. */
const backdatedMs = dayMs;

x509.cryptoProvider.set(webcrypto);

/** A certificate authority of the emulator's own, kept in a directory. */
export interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
  /** Path of the certificate as PEM, without the key. */
  readonly certificatePath: string;
}

/**
 * Reads an authority, or makes it at first start. Several emulators may start on one directory at once: they end up with
 * the same authority. The file with the key is readable by its owner alone.
 * @throws Error if a file is there that holds none.
 */
export async function openAuthority(directory: string, name: string, subject: string): Promise<Authority> {
  await mkdir(directory, { recursive: true });
  const secretPath = join(directory, `${name}.key.pem`);
  const certificatePath = join(directory, `${name}.pem`);
  const pem = (await readIfThere(secretPath)) ?? (await makeAuthority(secretPath, subject));
  const [keyPem, certificatePem] = pem.split(/(?=-----BEGIN CERTIFICATE-----)/);
  if (keyPem === undefined || certificatePem === undefined) {
    throw new Error(`${secretPath} holds no authority; delete it`);
  }
  if ((await readIfThere(certificatePath)) !== certificatePem) {
    await writeWhole(certificatePath, certificatePem);
  }
  return {
    certificate: new x509.X509Certificate(certificatePem),
    key: await importKey(keyPem),
    certificatePath,
  };
}

/** The one that clients are told to trust, for TLS. */
export function openEmulatorAuthority(directory: string): Promise<Authority> {
  return openAuthority(directory, 'dps-emulator-ca', 'CN=DPS emulator CA');
}

/** Issues a certificate for the emulator's TLS endpoint. */
export async function issueServerCertificate(
  authority: Authority,
  hosts: readonly string[],
): Promise<{ key: string; cert: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const names = hosts.map((value) => ({
    type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
    value,
  }));
  const certificate = await issue(authority, {
    subject: 'CN=localhost, O=DPS emulator',
    publicKey: keys.publicKey,
    days: serverDays,
    extensions: [
      new x509.SubjectAlternativeNameExtension(names),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    ],
  });
  return { key: await exportKey(keys.privateKey), cert: certificate.toString('pem') };
}

/**
 * Answers a certificate signing request of a device: base64 of a DER PKCS#10 request whose common name is the id.
 * @returns base64 of DER, leaf first, root last.
 * @throws ServiceError `invalidArgument`
 */
export async function issueDeviceCertificate(
  authority: Authority,
  csr: string,
  registrationId: string,
): Promise<string[]> {
  const request = await readRequest(csr);
  const leaf = await issue(authority, {
    subject: request.subject,
    publicKey: request.publicKey,
    days: deviceDays,
    extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
  });
  const name = parseCertificate(leaf.toString('base64')).subject.commonName;
  if (name === undefined || keyOf(name) !== keyOf(registrationId)) {
    throw invalid('csr', 'must have the registration id as its common name');
  }
  return [leaf.toString('base64'), authority.certificate.toString('base64')];
}

async function readRequest(csr: string): Promise<x509.Pkcs10CertificateRequest> {
  try {
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr, 'base64'));
    if (await request.verify()) {
      return request;
    }
  } catch {
    // Whatever the parser's reason, it is told below.
  }
  throw invalid('csr', 'must be base64 of a DER PKCS#10 request that is signed with its own key');
}

interface Subject {
  readonly subject: string;
  readonly publicKey: x509.PublicKeyType;
  readonly days: number;
  readonly extensions: x509.Extension[];
}

async function issue(
  authority: Authority,
  { subject, publicKey, days, extensions }: Subject,
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.create({
    subject,
    issuer: authority.certificate.subject,
    publicKey,
    signingKey: authority.key,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - backdatedMs),
    notAfter: new Date(Date.now() + days * dayMs),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
      ...extensions,
    ],
  });
}

/** Whoever links the file into place first has made the authority; the others read it. */
async function makeAuthority(path: string, subject: string): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys: keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - backdatedMs),
    notAfter: new Date(Date.now() + authorityDays * dayMs),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, `${await exportKey(keys.privateKey)}${certificate.toString('pem')}\n`, {
    mode: 0o600,
  });
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') {
      throw error;
    }
  });
  await unlink(draft);
  return readFile(path, 'utf8');
}

async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, text);
  await rename(draft, path);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' });
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}
