/** The public area of a TPM's key, as far as it says what kind of key it is. */
export interface TpmPublicArea {
  readonly type: 'rsa' | 'ecc';
  readonly keyBits: number;
  /** Without the two bytes of its size: what the key's name is made of. */
  readonly area: Buffer;
  /** Of RSA: big-endian. */
  readonly modulus?: Buffer;
  /** Of RSA; 0 stands for 65537. */
  readonly exponent?: number;
}

/** The longest is RSA 4096 with a policy of SHA-512, about 620 bytes. */
const maxBytes = 1_024;
const rsaOid = 0x0001;
const ecc = 0x0023;
const nullAlgorithm = 0x0010;
const hashes: ReadonlySet<number> = new Set([0x0004, 0x000b, 0x000c, 0x000d, 0x0012, 0x0027, 0x0028, 0x0029]);
const symmetricCiphers: ReadonlySet<number> = new Set([0x0003, 0x0006, 0x0013, 0x0026]);
const rsaBits: ReadonlySet<number> = new Set([1024, 2048, 3072, 4096]);
/** TPM_ECC_CURVE: the field's bits. */
const curveBits: ReadonlyMap<number, number> = new Map([
  [0x0003, 256],
  [0x0004, 384],
  [0x0005, 521],
  [0x0010, 256],
  [0x0011, 638],
  [0x0020, 256],
  [0x0030, 256],
  [0x0031, 384],
  [0x0032, 512],
]);

/**
 * Reads base64 of a TPM2B_PUBLIC, which is what DPS takes for an endorsement key (TPM 2.0 Library, part 2, 12.2.5):
 * `size, type, nameAlg, attributes, authPolicy, symmetric, scheme, …, unique`, big-endian.
 *
 * @returns nothing if it is anything else, or has anything beside it.
 */
export function readTpmPublic(base64: string): TpmPublicArea | undefined {
  if (base64.length > maxBytes * 2) {
    return undefined;
  }
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64 || bytes.length < 2 || bytes.readUInt16BE(0) !== bytes.length - 2) {
    return undefined;
  }
  const area = bytes.subarray(2);
  try {
    return readArea(new Fields(area), area);
  } catch (error) {
    if (error instanceof RangeError) {
      return undefined;
    }
    throw error;
  }
}

function readArea(fields: Fields, area: Buffer): TpmPublicArea | undefined {
  const type = fields.uint16();
  const hasHash = hashes.has(fields.uint16());
  fields.uint32(); // attributes
  const policy = fields.sized();
  if (!hasHash || policy.length > 64 || !readSymmetric(fields) || !readScheme(fields)) {
    return undefined;
  }
  if (type === rsaOid) {
    return readRsa(fields, area);
  }
  return type === ecc ? readEcc(fields, area) : undefined;
}

function readRsa(fields: Fields, area: Buffer): TpmPublicArea | undefined {
  const keyBits = fields.uint16();
  const exponent = fields.uint32();
  const modulus = fields.sized();
  const isKey = rsaBits.has(keyBits) && modulus.length === keyBits / 8 && modulus[0] !== 0;
  const isExponent = exponent === 0 || (exponent > 2 && exponent % 2 === 1);
  return isKey && isExponent && fields.areAllRead
    ? { type: 'rsa', keyBits, area, modulus, exponent }
    : undefined;
}

function readEcc(fields: Fields, area: Buffer): TpmPublicArea | undefined {
  const keyBits = curveBits.get(fields.uint16());
  const hasKdf = readScheme(fields);
  const x = fields.sized();
  const y = fields.sized();
  if (keyBits === undefined || !hasKdf || !fields.areAllRead) {
    return undefined;
  }
  const size = Math.ceil(keyBits / 8);
  const isPoint = [x, y].every((part) => part.length > 0 && part.length <= size);
  return isPoint ? { type: 'ecc', keyBits, area } : undefined;
}

/** TPMT_SYM_DEF_OBJECT: an algorithm and, unless that is null, key bits and mode. */
function readSymmetric(fields: Fields): boolean {
  const algorithm = fields.uint16();
  if (algorithm === nullAlgorithm) {
    return true;
  }
  fields.uint16();
  fields.uint16();
  return symmetricCiphers.has(algorithm);
}

/** An algorithm and, unless that is null, its hash. */
function readScheme(fields: Fields): boolean {
  if (fields.uint16() === nullAlgorithm) {
    return true;
  }
  return hashes.has(fields.uint16());
}

/** Reads what comes next; beyond the end it throws a RangeError, as Buffer does. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get areAllRead(): boolean {
    return this.#at === this.#bytes.length;
  }

  uint16(): number {
    this.#at += 2;
    return this.#bytes.readUInt16BE(this.#at - 2);
  }

  uint32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  sized(): Buffer {
    const length = this.uint16();
    if (this.#at + length > this.#bytes.length) {
      throw new RangeError('A sized part is cut short.');
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
