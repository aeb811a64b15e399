import { type EventKey, eventFingerprint, eventKey } from './event-identity.ts';
import { type Instant, instantToMs, parseInstant } from './instant.ts';
import type { JsonObject } from './json.ts';
import { type EventIdentity, type EventKind, eventKinds } from './manufacturing-event.ts';
import type { Rejection, RejectionReason } from './rejection.ts';
import { quoted } from './secret-texts.ts';

export const maxAheadInMs = 5 * 60_000;
const maxAttributeLength = 1_024;
/** RFC 3339 with nine digits and an offset has 35. */
const maxTimeLength = 64;

/** What of an event that cannot be told apart from others was readable all the same. */
export type ReadableEnvelope = Partial<Pick<EventIdentity, 'source' | 'id' | 'type' | 'subject' | 'time'>>;

/** The last two segments of a type decide. */
export function meaningOf(type: string): string {
  return type.split('.').slice(-2).join('.');
}

/** What may be told as the time of an event: right or wrong, it is made of what times are made of, so it is no key. */
export function isTimeLike(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxTimeLength && /^[\dTZtz:.+ -]+$/.test(value);
}

/** Attributes that are texts as they should be; the others are left out. */
export function readableEnvelope(value: JsonObject): ReadableEnvelope {
  const readable: Record<string, string> = {};
  for (const name of ['source', 'id', 'type', 'subject'] as const) {
    const attribute = value[name];
    if (typeof attribute === 'string' && attributeProblem(attribute) === undefined) {
      readable[name] = attribute;
    }
  }
  return isTimeLike(value.time) ? { ...readable, time: value.time } : readable;
}

/** Why the event has no identity. Empty if it has one. */
export function identityProblems(value: JsonObject): Rejection[] {
  return (['id', 'source', 'subject', 'type'] as const).flatMap((name) => {
    const problem = attributeProblem(value[name]);
    return problem === undefined
      ? []
      : [reject('not-a-cloudevent', `/${name}`, `The attribute ${name} ${problem}.`)];
  });
}

function attributeProblem(attribute: unknown): string | undefined {
  if (attribute === undefined || attribute === null) {
    return 'is missing';
  }
  if (typeof attribute !== 'string' || attribute === '') {
    return 'must be a non-empty text';
  }
  if (!attribute.isWellFormed()) {
    return 'has half of a surrogate pair, which is no character';
  }
  return attribute.length > maxAttributeLength
    ? `has ${attribute.length} characters; ${maxAttributeLength} are allowed`
    : undefined;
}

/** `value` has an identity. `data` is what the event brings, decoded, or null where it cannot be. */
export function readIdentity(value: JsonObject, data: unknown): EventIdentity {
  const { source = '', id = '', type = '', subject = '', time } = readableEnvelope(value);
  const meaning = meaningOf(type);
  const instant = (time === undefined ? undefined : parseInstant(time)) ?? time ?? '';
  const key: EventKey = eventKey(source, id, subject);
  return {
    key,
    source,
    id,
    type,
    subject,
    time,
    subjectKind: meaning.startsWith('batch.') ? 'batch' : 'device',
    fingerprint: eventFingerprint(meaning, subject, instant, data),
  };
}

export interface ReadAttributes {
  readonly problems: readonly Rejection[];
  readonly kind: EventKind | undefined;
  readonly instant: Instant | undefined;
}

/** What of the envelope, beyond its identity, is wrong. */
export function readAttributes(value: JsonObject, identity: EventIdentity, arrivedAt: Date): ReadAttributes {
  const problems: Rejection[] = [];
  if (value.specversion !== '1.0') {
    const what = value.specversion === undefined ? 'is missing; it must be "1.0"' : 'must be "1.0"';
    problems.push(reject('not-a-cloudevent', '/specversion', `The attribute specversion ${what}.`));
  }
  const instant = identity.time === undefined ? undefined : parseInstant(identity.time);
  if (instant === undefined) {
    const what = value.time === undefined || value.time === null ? 'is missing; it must be' : 'must be';
    const detail = `The attribute time ${what} an RFC 3339 date-time, such as 2026-11-23T06:00:00Z.`;
    problems.push(reject('not-a-cloudevent', '/time', detail));
  }
  const meaning = meaningOf(identity.type);
  const kind = eventKinds.find((each) => each === meaning);
  if (kind === undefined) {
    const detail = `The type ${quoted(identity.type)} must end in one of ${eventKinds.join(', ')}.`;
    problems.push(reject('unknown-type', '/type', detail));
  }
  if (instant !== undefined && instantToMs(instant) > arrivedAt.getTime() + maxAheadInMs) {
    const detail = `The time is more than 5 minutes after the event's arrival at ${arrivedAt.toISOString()}. Check the sender's clock.`;
    problems.push(reject('time-in-future', '/time', detail));
  }
  if (!isDpsId(identity.subject)) {
    const reason = identity.subjectKind === 'device' ? 'invalid-registration-id' : 'invalid-batch-id';
    problems.push(reject(reason, '/subject', `The subject must have ${dpsIdRule}.`));
  }
  return { problems, kind, instant };
}

export const dpsIdRule =
  '1 to 128 characters, letters, digits and - . _ :, beginning with a letter or digit and ending with one or a dash';

/** The rule of registration ids and enrollment group ids. */
export const dpsIdPattern = /^[A-Za-z0-9](?:[A-Za-z0-9\-._:]{0,126}[A-Za-z0-9-])?$/;

export function isDpsId(id: string): boolean {
  return dpsIdPattern.test(id);
}

function reject(reason: RejectionReason, pointer: string, detail: string): Rejection {
  return { reason, pointer, detail };
}
