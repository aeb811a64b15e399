import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
} from 'node:crypto';
import { readTpmPublic } from '../../dps/tpm-public.ts';

/**
 * Seals a key for a TPM, as the service does: what comes out can be activated only by the TPM that has the endorsement key
 * and the storage root key, and gives it an HMAC key. TPM 2.0 Library specification, part 1, sections 23 to 25.
 */
export interface SealRandom {
  readonly innerKey: Buffer;
  readonly seed: Buffer;
  readonly seedValue: Buffer;
  readonly outerSeed: Buffer;
}

/** The public area of an RSA-2048, SHA-256 storage key, as clients send it in base64 (TPM2B_PUBLIC). */
export interface TpmPublic {
  readonly key: KeyObject;
  /** nameAlg and digest of the public area. */
  readonly name: Buffer;
}

const sha256Algorithm = Buffer.from('000b', 'hex');
/** AES-128-CFB, scheme null, 2048 bits. */
const storageParameters = Buffer.from('00060080004300100800', 'hex');
const defaultExponent = 65_537;

/** @returns undefined for anything but an RSA-2048 storage key with SHA-256. */
export function parseTpmPublic(base64: string): TpmPublic | undefined {
  const read = readTpmPublic(base64);
  if (read?.modulus === undefined || !isStorageKey(read.area)) {
    return undefined;
  }
  const exponent = Buffer.alloc(4);
  exponent.writeUInt32BE(read.exponent || defaultExponent);
  const jwk = { kty: 'RSA', n: read.modulus.toString('base64url'), e: exponent.toString('base64url') };
  try {
    return { key: createPublicKey({ format: 'jwk', key: jwk }), name: nameOf(read.area) };
  } catch {
    return undefined;
  }
}

function isStorageKey(area: Buffer): boolean {
  const parameters = 10 + area.readUInt16BE(8);
  return (
    area.subarray(2, 4).equals(sha256Algorithm) &&
    area.subarray(parameters, parameters + storageParameters.length).equals(storageParameters)
  );
}

/** @param key 32 bytes: the HMAC key that the TPM will hold. */
export function seal(
  endorsement: TpmPublic,
  storageRoot: TpmPublic,
  key: Buffer,
  random: SealRandom,
): Buffer {
  const credential = makeCredential(storageRoot.name, random);
  const identity = identityKey(key, random.seedValue);
  const duplicate = wrap(identity, random);
  return Buffer.concat([
    credential,
    sized(oaep(endorsement.key, 'IDENTITY', random.seed)),
    duplicate,
    sized(oaep(storageRoot.key, 'DUPLICATE', random.outerSeed)),
    sized(identity.publicArea),
    sized(Buffer.alloc(0)),
  ]);
}

function makeCredential(storageRootName: Buffer, { innerKey, seed }: SealRandom): Buffer {
  const encrypted = cfb(kdf(seed, 'STORAGE', storageRootName, 128), sized(innerKey));
  return sized(protect(seed, encrypted, storageRootName));
}

interface IdentityKey {
  readonly publicArea: Buffer;
  readonly name: Buffer;
  readonly sensitive: Buffer;
}

/** A keyed-hash object: sign, userWithAuth, noDA; no policy; HMAC with SHA-256. */
function identityKey(key: Buffer, seedValue: Buffer): IdentityKey {
  const unique = createHash('sha256').update(seedValue).update(key).digest();
  const publicArea = Buffer.concat([Buffer.from('0008000b0004044000000005000b', 'hex'), sized(unique)]);
  const empty = sized(Buffer.alloc(0));
  const sensitive = sized(Buffer.concat([Buffer.from('0008', 'hex'), empty, sized(seedValue), sized(key)]));
  return { publicArea, name: nameOf(publicArea), sensitive };
}

function wrap({ name, sensitive }: IdentityKey, { innerKey, outerSeed }: SealRandom): Buffer {
  const digest = createHash('sha256').update(sensitive).update(name).digest();
  const inner = cfb(innerKey, Buffer.concat([sized(digest), sensitive]));
  const outer = cfb(kdf(outerSeed, 'STORAGE', name, 128), inner);
  return sized(protect(outerSeed, outer, name));
}

function protect(seed: Buffer, encrypted: Buffer, name: Buffer): Buffer {
  const integrity = createHmac('sha256', kdf(seed, 'INTEGRITY', Buffer.alloc(0), 256))
    .update(encrypted)
    .update(name)
    .digest();
  return Buffer.concat([sized(integrity), encrypted]);
}

/** KDFa of the specification; one block of SHA-256 is all that is ever asked for. */
function kdf(seed: Buffer, label: string, context: Buffer, bits: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bits);
  const counter = Buffer.from('00000001', 'hex');
  const block = createHmac('sha256', seed)
    .update(counter)
    .update(`${label}\0`, 'latin1')
    .update(context)
    .update(length)
    .digest();
  return block.subarray(0, bits / 8);
}

function cfb(key: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv('aes-128-cfb', key, Buffer.alloc(16));
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

function oaep(key: KeyObject, label: string, plain: Buffer): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt(
    { key, padding, oaepHash: 'sha256', oaepLabel: Buffer.from(`${label}\0`, 'latin1') },
    plain,
  );
}

function nameOf(publicArea: Buffer): Buffer {
  return Buffer.concat([sha256Algorithm, createHash('sha256').update(publicArea).digest()]);
}

function sized(content: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(content.length);
  return Buffer.concat([length, content]);
}
