import { createHash, webcrypto } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkCertificate } from '../../src/dps/certificate-checks.ts';
import { ec256, makeCertificate, rsa } from './certificates.ts';

const now = new Date();

function codes(text: string, expectations: { registrationId?: string; mustBeCa?: boolean; now?: Date } = {}) {
  return checkCertificate(text, { now, ...expectations }).problems.map(({ code }) => code);
}

describe('A certificate', () => {
  it('that is good has no problems, and says what it is', async () => {
    const { pem, certificate } = await makeCertificate({ name: 'CN=dev-1, O=Contoso', algorithm: ec256 });
    const { info, problems, expiresInMs } = checkCertificate(pem, { now, registrationId: 'dev-1' });
    expect(problems).toEqual([]);
    const sha256 = createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex').toUpperCase();
    expect(info).toMatchObject({
      commonName: 'dev-1',
      sha256Thumbprint: sha256,
      serialNumber: '0A01',
      isCa: false,
      keyType: 'ec',
      keyBits: 256,
      signatureHash: 'SHA256',
    });
    expect(info?.subjectName).toContain('CN=dev-1');
    expect(info?.sha1Thumbprint).toMatch(/^[0-9A-F]{40}$/);
    expect(expiresInMs).toBe(info!.notAfter.getTime() - now.getTime());
  });

  it('may be base64 of DER', async () => {
    const { certificate } = await makeCertificate();
    const base64 = Buffer.from(certificate.rawData).toString('base64');
    expect(checkCertificate(base64, { now }).info?.commonName).toBe('dev-1');
  });

  it('may lead a chain file: the first certificate counts', async () => {
    const root = await makeCertificate({ name: 'CN=root', ca: true });
    const leaf = await makeCertificate({ issuer: root });
    const text = `subject=CN = dev-1\n${leaf.pem}\n${root.pem}\n`;
    const { info, problems } = checkCertificate(text, { now, registrationId: 'dev-1' });
    expect(problems).toEqual([]);
    expect(info).toMatchObject({ commonName: 'dev-1', isCa: false });
  });

  it('may use RSA-2048, RSASSA-PSS or Ed25519', async () => {
    for (const algorithm of [rsa(2048, 'SHA-256'), rsa(2048, 'SHA-256', 'RSA-PSS')]) {
      expect(codes((await makeCertificate({ algorithm })).pem)).toEqual([]);
    }
    const ed25519 = { name: 'Ed25519' } as unknown as typeof ec256;
    expect(codes((await makeCertificate({ algorithm: ed25519 })).pem)).toEqual([]);
  });

  it('that has expired, or is not valid yet, is told as such at the very moment', async () => {
    const notBefore = new Date('2026-01-01T00:00:00Z');
    const notAfter = new Date('2026-02-01T00:00:00Z');
    const { pem } = await makeCertificate({ notBefore, notAfter });
    const at = (offset: number, of: Date) => codes(pem, { now: new Date(of.getTime() + offset) });
    expect(at(-1, notBefore)).toEqual(['not-yet-valid']);
    expect(at(0, notBefore)).toEqual([]);
    expect(at(0, notAfter)).toEqual([]);
    expect(at(1, notAfter)).toEqual(['expired']);
    expect(checkCertificate(pem, { now: new Date('2026-02-02T00:00:00Z') }).expiresInMs).toBe(-86_400_000);
  });

  it('is weak with RSA under 2048 bits', async () => {
    expect(codes((await makeCertificate({ algorithm: rsa(1024, 'SHA-256') })).pem)).toEqual(['weak']);
  });

  it.each(['RSASSA-PKCS1-v1_5', 'RSA-PSS'])('is weak when signed over SHA-1 with %s', async (name) => {
    const { pem } = await makeCertificate({ algorithm: rsa(2048, 'SHA-1', name) });
    expect(codes(pem)).toEqual(['weak']);
    expect(checkCertificate(pem, { now }).problems[0]?.detail).toMatch(/SHA-?1/);
  });

  it('is weak when signed over MD5', async () => {
    const { certificate } = await makeCertificate({ algorithm: rsa(2048, 'SHA-256') });
    // WebCrypto has no MD5, so the algorithm's name is exchanged: nobody checks the signature here.
    const der = Buffer.from(certificate.rawData).toString('hex');
    const md5 = der.replaceAll('2a864886f70d01010b', '2a864886f70d010104');
    expect(codes(Buffer.from(md5, 'hex').toString('base64'))).toEqual(['weak']);
  });

  it('must be of an authority where that is asked for', async () => {
    const root = await makeCertificate({ name: 'CN=root', ca: true });
    expect(codes(root.pem, { mustBeCa: true })).toEqual([]);
    expect(codes((await makeCertificate()).pem, { mustBeCa: true })).toEqual(['not-a-ca']);
  });

  it('must have the registration id as common name, in any case of letters', async () => {
    const { pem } = await makeCertificate({ name: 'CN=Dev-1' });
    expect(codes(pem, { registrationId: 'dEV-1' })).toEqual([]);
    expect(codes(pem, { registrationId: 'dev-2' })).toEqual(['name-mismatch']);
    const nameless = await makeCertificate({ name: 'O=Contoso' });
    expect(codes(nameless.pem, { registrationId: 'dev-1' })).toEqual(['name-mismatch']);
  });

  it('can have several problems at once', async () => {
    const { pem } = await makeCertificate({
      algorithm: rsa(1024, 'SHA-1'),
      notBefore: new Date('2020-01-01'),
      notAfter: new Date('2021-01-01'),
    });
    const found = codes(pem, { registrationId: 'dev-2', mustBeCa: true });
    expect(found).toEqual(['expired', 'weak', 'not-a-ca', 'name-mismatch']);
  });
});

describe('A text that holds no certificate is unreadable:', () => {
  it.each([
    ['nothing', ''],
    ['words', 'this is not a certificate'],
    ['base64 of something else', Buffer.from('hello, world').toString('base64')],
    ['an empty PEM block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----'],
    ['a PEM block cut off', '-----BEGIN CERTIFICATE-----\nMIIB'],
    ['a PEM block of noise', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
    ['another kind of PEM', '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----'],
  ])('%s', (_name, text) => {
    const { info, problems, expiresInMs } = checkCertificate(text, { now });
    expect(problems).toEqual([{ code: 'unreadable', detail: expect.any(String) }]);
    expect(info).toBeUndefined();
    expect(expiresInMs).toBeUndefined();
  });

  it('a certificate together with its private key, which must not be sent', async () => {
    const { pem, keys } = await makeCertificate();
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    const text = `${pem}\n-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
    const { problems } = checkCertificate(text, { now });
    expect(problems).toEqual([{ code: 'unreadable', detail: expect.stringContaining('private key') }]);
    expect(JSON.stringify(problems)).not.toContain(key);
  });

  it('a certificate cut short at any byte', async () => {
    const { certificate } = await makeCertificate();
    const der = Buffer.from(certificate.rawData);
    for (let length = 0; length < der.length; length += 7) {
      expect(codes(der.subarray(0, length).toString('base64'))).toEqual(['unreadable']);
    }
  });
});
