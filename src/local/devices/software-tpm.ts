import {
  constants,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';

/** What a device's TPM does with a key that DPS sealed for it, in software. TPM 2.0 Library, part 1, sections 23 to 25. */
export interface SoftwareTpm {
  endorsementKey: string;
  storageRootKey: string;
  /** @returns the HMAC key. @throws Error as a TPM would refuse. */
  activate(blob: string): Buffer;
}

const ekTemplate = '0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';
const srkTemplate = '0001000b000304720000';
const parameters = '00060080004300100800000000000100';

/** @param endorsement,storageRoot private keys, RSA-2048. */
export function createSoftwareTpm(endorsement: KeyObject, storageRoot: KeyObject): SoftwareTpm {
  const ekArea = publicArea(ekTemplate, createPublicKey(endorsement));
  const srkArea = publicArea(srkTemplate, createPublicKey(storageRoot));
  return {
    endorsementKey: sized(ekArea).toString('base64'),
    storageRootKey: sized(srkArea).toString('base64'),
    activate: (blob) => activate(Buffer.from(blob, 'base64'), endorsement, storageRoot, nameOf(srkArea)),
  };
}

function publicArea(template: string, key: KeyObject): Buffer {
  const modulus = Buffer.from(String(key.export({ format: 'jwk' }).n), 'base64url');
  return Buffer.concat([Buffer.from(template + parameters, 'hex'), modulus]);
}

function activate(blob: Buffer, ek: KeyObject, srk: KeyObject, srkName: Buffer): Buffer {
  const parts = split(blob);
  if (parts.length !== 6) {
    throw new Error('The sealed key does not have six parts.');
  }
  const [credential, ekSecret, duplicate, srkSecret, identity] = parts as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const seed = unwrap(ek, 'IDENTITY', ekSecret);
  const encrypted = verified(seed, credential, srkName);
  const [innerKey] = split(decrypt(kdf(seed, 'STORAGE', srkName, 128), encrypted)) as [Buffer];
  const name = nameOf(identity);
  const outerSeed = unwrap(srk, 'DUPLICATE', srkSecret);
  const inner = decrypt(kdf(outerSeed, 'STORAGE', name, 128), verified(outerSeed, duplicate, name));
  const [digest, sensitive] = split(decrypt(innerKey, inner)) as [Buffer, Buffer];
  if (!digest.equals(createHash('sha256').update(sized(sensitive)).update(name).digest())) {
    throw new Error('The sealed key was changed, or is sealed for another TPM.');
  }
  const [, seedValue, key] = split(sensitive.subarray(2)) as [Buffer, Buffer, Buffer];
  const unique = createHash('sha256').update(seedValue).update(key).digest();
  if (!identity.subarray(-32).equals(unique)) {
    throw new Error('The public area of the sealed key is of another key.');
  }
  return key;
}

function verified(seed: Buffer, object: Buffer, name: Buffer): Buffer {
  const [integrity] = split(object.subarray(0, 34)) as [Buffer];
  const encrypted = object.subarray(34);
  const expected = createHmac('sha256', kdf(seed, 'INTEGRITY', Buffer.alloc(0), 256))
    .update(encrypted)
    .update(name)
    .digest();
  if (!integrity.equals(expected)) {
    throw new Error('The sealed key was changed, or is sealed for another TPM.');
  }
  return encrypted;
}

function unwrap(key: KeyObject, label: string, secret: Buffer): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return privateDecrypt({ key, padding, oaepHash: 'sha256', oaepLabel: Buffer.from(`${label}\0`) }, secret);
}

function kdf(seed: Buffer, label: string, context: Buffer, bits: number): Buffer {
  const head = Buffer.from([0, 0, 0, 1]);
  const tail = Buffer.from([0, 0, bits >> 8, bits & 255]);
  const block = Buffer.concat([head, Buffer.from(`${label}\0`), context, tail]);
  return createHmac('sha256', seed)
    .update(block)
    .digest()
    .subarray(0, bits / 8);
}

function decrypt(key: Buffer, data: Buffer): Buffer {
  return createDecipheriv('aes-128-cfb', key, Buffer.alloc(16)).update(data);
}

function nameOf(area: Buffer): Buffer {
  return Buffer.concat([Buffer.from('000b', 'hex'), createHash('sha256').update(area).digest()]);
}

function sized(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([content.length >> 8, content.length & 255]), content]);
}

function split(data: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const length = data.readUInt16BE(at);
    parts.push(data.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return parts;
}
