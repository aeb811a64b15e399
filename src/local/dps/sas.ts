import { createHmac, timingSafeEqual } from 'node:crypto';

const scheme = 'SharedAccessSignature ';

export interface SasToken {
  /** The resource exactly as the token has it: the signature is over this text. */
  readonly rawResource: string;
  /** The same, decoded and in lower case, without slashes at its end. */
  readonly resource: string;
  readonly signature: Buffer;
  /** Seconds since 1970, as the token has it. */
  readonly expiry: string;
  readonly keyName: string;
}

/**
 * Reads a token; its fields come in any order.
 * @returns undefined if it is none.
 */
export function parseSas(authorization: string | undefined): SasToken | undefined {
  if (!authorization?.startsWith(scheme)) {
    return undefined;
  }
  const fields = new Map<string, string>();
  for (const field of authorization.slice(scheme.length).split('&')) {
    const equals = field.indexOf('=');
    if (equals < 1 || fields.has(field.slice(0, equals))) {
      return undefined;
    }
    fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  const rawResource = fields.get('sr');
  const expiry = fields.get('se');
  const resource = decode(rawResource);
  const signature = decode(fields.get('sig'));
  const keyName = decode(fields.get('skn')) ?? '';
  if (!rawResource || !resource || !signature || !expiry || !/^\d{1,15}$/.test(expiry)) {
    return undefined;
  }
  return {
    rawResource,
    resource: resource.toLowerCase().replace(/\/+$/, ''),
    signature: Buffer.from(signature, 'base64'),
    expiry,
    keyName,
  };
}

export function isExpired(token: SasToken, nowMs: number): boolean {
  return Number(token.expiry) * 1000 <= nowMs;
}

/** Whether the token was signed with this key (its bytes). */
export function isSignedWith(token: SasToken, key: Buffer): boolean {
  const expected = createHmac('sha256', key).update(`${token.rawResource}\n${token.expiry}`).digest();
  return expected.length === token.signature.length && timingSafeEqual(expected, token.signature);
}

/** The key of a device of a symmetric-key group: HMAC-SHA256 of its registration id, as written, with the group's key. */
export function deriveDeviceKey(groupKey: Buffer, registrationId: string): Buffer {
  return createHmac('sha256', groupKey).update(registrationId, 'utf8').digest();
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined) {
    return undefined;
  }
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
