import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkCertificate } from '../../src/dps/certificate-checks.ts';
import { DerReader } from '../../src/dps/der.ts';
import { certificatesOfAllCurves, der, makeAnyCertificate } from '../support/any-certificate.ts';

const now = new Date('2027-01-01T00:00:00Z');

function codesOf(text: string): string {
  return checkCertificate(text, { now })
    .problems.map(({ code }) => code)
    .join();
}

const sound = /^(?:brainpoolP(?:256|320|384|512)[rt]1|prime256v1|secp256k1|secp384r1|secp521r1), named$/;

describe('Of the curves that OpenSSL lists', () => {
  it('the common ones from 256 bits on are good, Brainpool too, and all others weak', () => {
    const made = certificatesOfAllCurves('dev-1');
    expect(made.length).toBeGreaterThan(100);
    for (const { what, pem } of made) {
      expect([what, codesOf(pem)]).toEqual([what, sound.test(what) ? '' : 'weak']);
    }
  });

  it('none ends the process that reads it', () => {
    const texts = certificatesOfAllCurves('dev-1').map(({ pem }) => pem);
    const script = `
      import { checkCertificate } from './src/dps/certificate-checks.ts';
      import { isStoredAs } from './src/dps/enrollment-equality.ts';
      import { text } from 'node:stream/consumers';
      const texts = JSON.parse(await text(process.stdin));
      const names = texts.map((each) => checkCertificate(each, { now: new Date() }).info?.commonName);
      const enrollment = (certificate) =>
        ({ registrationId: 'dev-1', attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate } } } } });
      const same = texts.map((each) => isStoredAs(enrollment(each), enrollment(each)));
      console.log(new Set(names).size, names[0], same.every(Boolean));`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: `${import.meta.dirname}/../..`,
      input: JSON.stringify(texts),
      encoding: 'utf8',
    });
    expect(child).toMatchObject({ status: 0, signal: null, stdout: '1 dev-1 true\n' });
  });
});

describe('A certificate', () => {
  it.each(['ed25519', 'ed448'] as const)('with a key of %s is good', (type) => {
    const keys = generateKeyPairSync(type as 'ed25519');
    expect(codesOf(makeAnyCertificate({ keys }).pem)).toBe('');
  });

  it.each(['x25519', 'x448'] as const)('with a key of %s, which signs nothing, is weak', (type) => {
    const publicKeyInfo = generateKeyPairSync(type as 'x25519').publicKey.export({
      format: 'der',
      type: 'spki',
    });
    expect(codesOf(makeAnyCertificate({ publicKeyInfo }).pem)).toBe('weak');
  });

  it('with a key of DSA is weak', () => {
    const { publicKey } = generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 224 });
    const publicKeyInfo = publicKey.export({ format: 'der', type: 'spki' });
    expect(codesOf(makeAnyCertificate({ publicKeyInfo }).pem)).toBe('weak');
  });

  it.each([
    ['3', 2048, '03', ''],
    ['65537', 16_384, '010001', ''],
    ['65537, and a modulus beyond what OpenSSL computes with', 16_392, '010001', 'weak'],
    ['1', 2048, '01', 'weak'],
    ['an even number', 2048, '010000', 'weak'],
    ['a number of 9 bytes', 4096, '010000000000000001', 'weak'],
  ])('of RSA with the exponent %s', (_what, bits, exponent, expected) => {
    const publicKeyInfo = rsaKey(Buffer.alloc(bits / 8, 0xc1), Buffer.from(exponent, 'hex'));
    expect(codesOf(makeAnyCertificate({ publicKeyInfo }).pem)).toBe(expected);
  });

  it('whose point is not on its curve is unreadable', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' });
    const publicKeyInfo = Buffer.from(publicKey.export({ format: 'der', type: 'spki' }));
    publicKeyInfo[publicKeyInfo.length - 1]! ^= 1;
    expect(codesOf(makeAnyCertificate({ publicKeyInfo }).pem)).toBe('unreadable');
  });

  it.each(['20261301000000Z', '20450230000000Z', '2045', '99991231235959', '20450101000000+0100', ''])(
    'that ends on %j, which is no date, is unreadable',
    (notAfter) => {
      expect(codesOf(makeAnyCertificate({ notAfter }).pem)).toBe('unreadable');
    },
  );

  it('that never ends (RFC 5280, 4.1.2.5) is good', () => {
    expect(codesOf(makeAnyCertificate({ notAfter: '99991231235959Z' }).pem)).toBe('');
  });

  it('without basicConstraints may be an authority; the answer says that it does not say so', () => {
    const { problems, info } = checkCertificate(makeAnyCertificate().pem, { now, mustBeCa: true });
    expect({ problems, authority: info?.authority }).toEqual({ problems: [], authority: 'absent' });
  });

  it('with anything behind it is unreadable: that might be a key', () => {
    const { der: bytes } = makeAnyCertificate();
    expect(codesOf(Buffer.concat([bytes, Buffer.alloc(32)]).toString('base64'))).toBe('unreadable');
  });

  it('of more than 16 KB is unreadable', () => {
    const name = 'x'.repeat(8_300);
    expect(codesOf(makeAnyCertificate({ name, authority: 'yes' }).pem)).toBe('unreadable');
  });

  it('with lengths that are not as DER has them is unreadable, wherever they are', () => {
    const { der: bytes } = makeAnyCertificate();
    for (const offset of elementsOf(bytes)) {
      for (const length of ['80', '87ffffffffffffff', '88ffffffffffffffff', '8400000001', 'ff', '8100']) {
        const changed = Buffer.concat([
          bytes.subarray(0, offset + 1),
          Buffer.from(length, 'hex'),
          bytes.subarray(offset + 1),
        ]);
        expect([offset, length, codesOf(changed.toString('base64'))]).toEqual([offset, length, 'unreadable']);
      }
    }
  });

  it('with any byte changed is read or not, without an exception', () => {
    const { der: bytes } = makeAnyCertificate({ authority: 'yes' });
    for (let offset = 0; offset < bytes.length; offset++) {
      for (const value of [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[offset] = value;
        expect(() => codesOf(changed.toString('base64'))).not.toThrow();
      }
    }
  });
});

/** Offsets of the tags of the outermost three levels. */
function elementsOf(bytes: Buffer): number[] {
  const outer = new DerReader(bytes);
  const certificate = outer.next();
  const inner = outer.inside(certificate);
  const offsets = [certificate.from];
  while (!inner.isAtEnd) {
    const element = inner.next();
    offsets.push(element.from);
    const parts = element.tag === 0x30 ? inner.inside(element) : undefined;
    while (parts && !parts.isAtEnd) {
      offsets.push(parts.next().from);
    }
  }
  return offsets;
}

function rsaKey(modulus: Buffer, exponent: Buffer): Buffer {
  const number = (bytes: Buffer) => der(0x02, [Buffer.alloc((bytes[0] ?? 0) >= 0x80 ? 1 : 0), bytes]);
  const key = der(0x30, [number(modulus), number(exponent)]);
  const algorithm = der(0x30, [der(0x06, [Buffer.from('2a864886f70d010101', 'hex')]), der(0x05, [])]);
  return der(0x30, [algorithm, der(0x03, [Buffer.alloc(1), key])]);
}
