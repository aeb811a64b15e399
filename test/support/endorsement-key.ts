import { createHash } from 'node:crypto';

/** The public area of an RSA-2048 endorsement key as Windows and the SDKs make it, up to the modulus. */
const header =
  '013a0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa00060080004300100800000000000100';

/** A TPM2B_PUBLIC that nobody has the private key of; another one for each seed. */
export function endorsementKeyOf(seed: string | number): string {
  const parts = Array.from({ length: 8 }, (_, part) =>
    createHash('sha256').update(`${seed} ${part}`).digest(),
  );
  const modulus = Buffer.concat(parts);
  modulus[0] = 0xc1;
  return Buffer.concat([Buffer.from(header, 'hex'), modulus]).toString('base64');
}

/** One of an elliptic curve (P-256), which DPS stores and the emulator cannot seal for. */
export function ellipticEndorsementKey(): string {
  const area = Buffer.concat([
    Buffer.from(
      '0023000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
      'hex',
    ),
    Buffer.from('000600800043001000030010', 'hex'),
    Buffer.from('0020', 'hex'),
    createHash('sha256').update('x').digest(),
    Buffer.from('0020', 'hex'),
    createHash('sha256').update('y').digest(),
  ]);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(area.length);
  return Buffer.concat([size, area]).toString('base64');
}
