/** One element of DER: its tag, and where in the bytes its content lies. */
export interface DerElement {
  readonly tag: number;
  /** Offset of the tag. */
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

export const derTags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The bytes are not DER of what was looked for. */
export class DerError extends Error {
  override name = 'DerError';
}

/**
 * Reads elements one after the other, from the outside in. Lengths must be as DER has them (definite, as short as
 * possible) and must fit: so each byte is looked at once for each level that it lies in, and nothing is read beyond the end.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, within?: Pick<DerElement, 'start' | 'end'>) {
    this.#bytes = bytes;
    this.#at = within?.start ?? 0;
    this.#end = within?.end ?? bytes.length;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** @throws DerError if there is no further element, or one of another tag. */
  next(tag?: number): DerElement {
    const from = this.#at;
    if (this.#end - from < 2) {
      throw new DerError('An element is missing.');
    }
    const found = this.#byte(from);
    // Tags of more than one byte do not occur in what is read here.
    if ((tag !== undefined && found !== tag) || (found & 0x1f) === 0x1f) {
      throw new DerError('An element has another type than expected.');
    }
    const { start, length } = this.#lengthAt(from + 1);
    if (length > this.#end - start) {
      throw new DerError('An element is longer than what holds it.');
    }
    this.#at = start + length;
    return { tag: found, from, start, end: this.#at };
  }

  /** The next element if it has this tag; else it stays where it is. */
  optional(tag: number): DerElement | undefined {
    return !this.isAtEnd && this.#byte(this.#at) === tag ? this.next(tag) : undefined;
  }

  inside(element: DerElement): DerReader {
    return new DerReader(this.#bytes, element);
  }

  /** @throws DerError if something follows. */
  finish(): void {
    if (!this.isAtEnd) {
      throw new DerError('Something follows that does not belong there.');
    }
  }

  content({ start, end }: DerElement): Uint8Array {
    return this.#bytes.subarray(start, end);
  }

  #lengthAt(offset: number): { start: number; length: number } {
    const first = this.#byte(offset);
    if (first < 0x80) {
      return { start: offset + 1, length: first };
    }
    const bytes = first & 0x7f;
    if (bytes === 0 || bytes > 3 || offset + 1 + bytes > this.#end) {
      throw new DerError('A length is not as DER writes it.');
    }
    let length = 0;
    for (let index = 1; index <= bytes; index++) {
      length = length * 256 + this.#byte(offset + index);
    }
    if (length < 0x80 || length < 256 ** (bytes - 1)) {
      throw new DerError('A length is not as DER writes it.');
    }
    return { start: offset + 1 + bytes, length };
  }

  #byte(offset: number): number {
    return this.#bytes[offset] ?? 0;
  }
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** `2.5.4.3` from the content of an OBJECT IDENTIFIER. @throws DerError */
export function dottedOf(content: Uint8Array): string {
  const parts: string[] = [];
  let value = 0n;
  content.forEach((byte, index) => {
    value = value * 128n + BigInt(byte & 0x7f);
    if (byte >= 0x80) {
      return;
    }
    if (parts.length === 0) {
      const first = value < 80n ? value / 40n : 2n;
      parts.push(String(first), String(value - first * 40n));
    } else {
      parts.push(String(value));
    }
    value = 0n;
    if (index > 63) {
      throw new DerError('An object identifier is too long.');
    }
  });
  return parts.join('.');
}
