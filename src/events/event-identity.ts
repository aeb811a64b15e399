import { hash } from 'node:crypto';

import type { Instant } from './instant.ts';
import { canonicalJson } from './json.ts';

/** 32 hex digits that stand for source, id and subject. */
export type EventKey = string;

export function eventKey(source: string, id: string, subject: string): EventKey {
  return sha256(JSON.stringify([source, id, lowerCase(subject)])).slice(0, 32);
}

/** The key of what is no event: of its body. */
export function bodyKey(body: Uint8Array | string): EventKey {
  return sha256(body).slice(0, 32);
}

/**
 * What two deliveries of one event must agree in: type and subject as they are meant, the instant, and data as JSON
 * values. A hash, because data may hold keys.
 */
export function eventFingerprint(
  type: string,
  subject: string,
  time: Instant | string,
  data: unknown,
): string {
  return sha256(canonicalJson([type, lowerCase(subject), time, data ?? null]));
}

/** ASCII letters alone, as DPS compares ids: `K` (U+212A, the Kelvin sign) is not `k`. */
export function lowerCase(id: string): string {
  return id.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Differs by body and attempt, so that duplicate detection swallows neither a reused id nor a replay. */
export function messageIdOf(key: EventKey, body: string | Uint8Array, attempt: number | string): string {
  return sha256(`${key}\n${typeof body === 'string' ? body : sha256(body)}\n${attempt}`);
}

export function sha256(content: Uint8Array | string): string {
  return hash('sha256', content);
}
