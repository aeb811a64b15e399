import { createHmac } from 'node:crypto';

export interface SignOptions {
  readonly id?: string;
  /** Seconds since 1970. */
  readonly timestamp?: number | string;
}

let counter = 0;

/** Standard Webhooks, written down once more on purpose: a test must not ask the code how it is signed. */
export function signedHeaders(
  secret: string,
  body: string | Uint8Array,
  { id = `msg_${process.pid}_${++counter}`, timestamp = Math.floor(Date.now() / 1_000) }: SignOptions = {},
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const mac = createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64'));
  mac.update(`${id}.${timestamp}.`).update(body);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${mac.digest('base64')}`,
  };
}

export function testSecret(fill: number, bytes = 32): string {
  return `whsec_${Buffer.alloc(bytes, fill).toString('base64')}`;
}
