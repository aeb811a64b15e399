import { createHash } from 'node:crypto';

import type { Instant } from './instant.ts';
import { canonicalJson } from './json.ts';

/** 32 hex digits that stand for source, id and subject. */
export type EventKey = string;

export function eventKey(source: string, id: string, subject: string): EventKey {
  return sha256(`${source}\n${id}\n${subject.toLowerCase()}`).slice(0, 32);
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
  return sha256(canonicalJson([type, subject.toLowerCase(), time, data ?? null]));
}

/** Differs by body and attempt, so that duplicate detection swallows neither a reused id nor a replay. */
export function messageIdOf(key: EventKey, body: string, attempt: number | string): string {
  return sha256(`${key}\n${body}\n${attempt}`);
}

export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
