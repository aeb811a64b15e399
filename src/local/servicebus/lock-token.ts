import { randomUUID } from 'node:crypto';

/** Tokens are kept as 32 hex digits in the byte order of RFC 4122, as $management writes them. */
export function newLockToken(): string {
  return randomUUID().replaceAll('-', '');
}

export function tokenFromBytes(bytes: Buffer): string {
  return bytes.toString('hex');
}

export function tokenToBytes(token: string): Buffer {
  return Buffer.from(token, 'hex');
}

/** A delivery tag is the token in the byte order of a .NET Guid: its first three groups are little-endian. */
export function tokenToDeliveryTag(token: string): Buffer {
  const bytes = tokenToBytes(token);
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
