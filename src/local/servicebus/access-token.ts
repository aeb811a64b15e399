import { createHmac, timingSafeEqual } from 'node:crypto';

export interface AccessKey {
  readonly name: string;
  readonly value: string;
}

/** Is this a SharedAccessSignature that the key has signed and that has not run out? */
export function isValidToken(token: string, key: AccessKey, now: number): boolean {
  const fields = new Map(
    token
      .replace(/^SharedAccessSignature /, '')
      .split('&')
      .map((field) => {
        const equals = field.indexOf('=');
        return [field.slice(0, equals), field.slice(equals + 1)] as const;
      }),
  );
  const expiry = fields.get('se') ?? '0';
  if (decodeURIComponent(fields.get('skn') ?? '') !== key.name) {
    return false;
  }
  if (Number(expiry) * 1000 < now) {
    return false;
  }
  const expected = createHmac('sha256', key.value)
    .update(`${fields.get('sr')}\n${expiry}`)
    .digest();
  const given = Buffer.from(decodeURIComponent(fields.get('sig') ?? ''), 'base64');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
