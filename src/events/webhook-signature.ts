import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A message as Standard Webhooks signs it (https://www.standardwebhooks.com); the body is what was sent, byte by byte. */
export interface WebhookMessage {
  readonly id: string;
  /** Seconds since 1970, as written. */
  readonly timestamp: string;
  readonly body: Uint8Array;
}

export const webhookToleranceInMs = 5 * 60_000;
/** Nobody rotates more secrets at once; each more would cost an anonymous caller nothing, and us a digest. */
const signaturesAtMost = 10;

/** `v1`: HMAC-SHA256 over id, timestamp and body. For senders, too. */
export function webhookSignature({ id, timestamp, body }: WebhookMessage, key: Uint8Array): string {
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body);
  return `v1,${mac.digest('base64')}`;
}

/**
 * Whether one of the signatures, which spaces separate, was made with one of the keys, not more than five minutes from
 * now. What is missing is an empty text. How long it takes depends on the request and the number of keys alone: nothing
 * here ends early, whatever is wrong.
 */
export function isSignedMessage(
  message: WebhookMessage,
  signatures: string,
  keys: readonly Uint8Array[],
  now: Date,
): boolean {
  const given = signatures.split(' ', signaturesAtMost).map(blinded);
  let isMatch = false;
  for (const key of keys) {
    const expected = blinded(webhookSignature(message, key));
    for (const each of given) {
      isMatch = timingSafeEqual(each, expected) || isMatch;
    }
  }
  const sentAt = /^\d{1,12}$/.test(message.timestamp) ? Number(message.timestamp) * 1_000 : Number.NaN;
  const isInTime = Math.abs(now.getTime() - sentAt) <= webhookToleranceInMs;
  return isMatch && isInTime && message.id !== '';
}

const blindingKey = randomBytes(32);

/** Texts of any length become digests of one length that nobody can foresee: comparing them tells nothing about the texts. */
function blinded(text: string): Buffer {
  return createHmac('sha256', blindingKey).update(text).digest();
}
