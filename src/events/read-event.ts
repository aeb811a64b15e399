import type * as z from 'zod';

import { definitionSchema, noticeSchema } from './event-data-schema.ts';
import { bodyKey, type EventKey, eventFingerprint, eventKey } from './event-identity.ts';
import { instantToMs, parseInstant } from './instant.ts';
import { isJsonObject, type JsonObject, jsonPointer, nestingDepth } from './json.ts';
import {
  type DefinitionData,
  type EventIdentity,
  type EventKind,
  eventKinds,
  isDefinitionKind,
  type ManufacturingEvent,
} from './manufacturing-event.ts';
import type { Rejection, RejectionReason } from './rejection.ts';

export const maxEventBytes = 192 * 1024;
export const maxNesting = 64;
export const maxAheadInMs = 5 * 60_000;

export type ReadEvent =
  | { readonly kind: 'event'; readonly event: ManufacturingEvent }
  | {
      readonly kind: 'rejected';
      readonly rejection: Rejection;
      /** Of the event, or of the body where there is no event to speak of. */
      readonly key: EventKey;
      /** Known once source, id and subject read. */
      readonly identity?: EventIdentity;
    };

/** Reads one CloudEvent in JSON text, as structured mode and the queue carry it. */
export function readEventText(text: string, arrivedAt: Date): ReadEvent {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxEventBytes) {
    const detail = `The event has ${bytes} bytes; the limit is ${maxEventBytes}. Send less in tags, desired and deviceInformation.`;
    return tooLarge(text, detail, arrivedAt);
  }
  if (nestingDepth(text) > maxNesting) {
    const detail = `The event nests deeper than ${maxNesting} levels.`;
    return {
      kind: 'rejected',
      key: bodyKey(text),
      rejection: { reason: 'invalid-data', pointer: '', detail },
    };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
    // Some senders encode twice: a JSON string that holds the event.
    if (typeof value === 'string') value = JSON.parse(value);
  } catch {
    const detail = 'The body is not JSON. Send one CloudEvent as application/cloudevents+json.';
    return {
      kind: 'rejected',
      key: bodyKey(text),
      rejection: { reason: 'malformed-json', pointer: '', detail },
    };
  }
  return readEvent(value, text, arrivedAt);
}

/** Reads one CloudEvent from its JSON value. `text` is what stands for it where it turns out to be no event. */
export function readEvent(value: unknown, text: string, arrivedAt: Date): ReadEvent {
  if (!isJsonObject(value)) return noEvent(text, '', 'The body is JSON, but not an object.');
  const identity = readIdentity(value);
  if (identity.rejection) return noEvent(text, identity.rejection.pointer, identity.rejection.detail);
  const known = identity.value;
  const judged = readAttributes(value, known, arrivedAt);
  if (!('reason' in judged)) return { kind: 'event', event: judged };
  return { kind: 'rejected', key: known.key, identity: known, rejection: judged };
}

function tooLarge(text: string, detail: string, arrivedAt: Date): ReadEvent {
  const rejection: Rejection = { reason: 'too-large', pointer: '', detail };
  const unread: ReadEvent = { kind: 'rejected', key: bodyKey(text), rejection };
  if (text.length > 1024 * 1024 || nestingDepth(text) > maxNesting) return unread;
  try {
    const read = readEvent(JSON.parse(text), text, arrivedAt);
    const identity = read.kind === 'event' ? read.event : read.identity;
    return identity ? { kind: 'rejected', key: identity.key, identity, rejection } : unread;
  } catch {
    return unread;
  }
}

function noEvent(text: string, pointer: string, detail: string): ReadEvent {
  return { kind: 'rejected', key: bodyKey(text), rejection: { reason: 'not-a-cloudevent', pointer, detail } };
}

type Identity =
  | { readonly value: EventIdentity; readonly rejection?: undefined }
  | { readonly rejection: { readonly pointer: string; readonly detail: string } };

function readIdentity(value: JsonObject): Identity {
  for (const name of ['id', 'source', 'subject', 'type'] as const) {
    const attribute = value[name];
    if (typeof attribute === 'string' && attribute !== '') continue;
    return { rejection: { pointer: `/${name}`, detail: `The attribute ${name} must be a non-empty text.` } };
  }
  const source = String(value.source);
  const id = String(value.id);
  const type = String(value.type);
  const subject = String(value.subject);
  const time = typeof value.time === 'string' ? value.time : undefined;
  const meaning = type.split('.').slice(-2).join('.');
  const subjectKind = meaning.startsWith('batch.') ? 'batch' : 'device';
  const instant = (time === undefined ? undefined : parseInstant(time)) ?? time ?? '';
  const data = dataOf(value);
  return {
    value: {
      key: eventKey(source, id, subject),
      source,
      id,
      type,
      subject,
      time,
      subjectKind,
      fingerprint: eventFingerprint(meaning, subject, instant, data.ok ? data.value : null),
    },
  };
}

function readAttributes(
  value: JsonObject,
  identity: EventIdentity,
  arrivedAt: Date,
): ManufacturingEvent | Rejection {
  const no = (reason: RejectionReason, pointer: string, detail: string): Rejection => ({
    reason,
    pointer,
    detail,
  });
  if (value.specversion !== '1.0')
    return no('not-a-cloudevent', '/specversion', 'The attribute specversion must be "1.0".');
  const instant = identity.time === undefined ? undefined : parseInstant(identity.time);
  if (instant === undefined)
    return no(
      'not-a-cloudevent',
      '/time',
      'The attribute time must be an RFC 3339 date-time, such as 2026-11-23T06:00:00Z.',
    );
  const kind = eventKinds.find((each) => each === identity.type.split('.').slice(-2).join('.'));
  if (kind === undefined)
    return no('unknown-type', '/type', `The type must end in one of ${eventKinds.join(', ')}.`);
  if (instantToMs(instant) > arrivedAt.getTime() + maxAheadInMs)
    return no(
      'time-in-future',
      '/time',
      `The time is more than 5 minutes after the event's arrival at ${arrivedAt.toISOString()}. Check the sender's clock.`,
    );
  if (!isDpsId(identity.subject)) {
    const reason = identity.subjectKind === 'device' ? 'invalid-registration-id' : 'invalid-batch-id';
    return no(reason, '/subject', `The subject must have ${dpsIdRule}.`);
  }
  if (!isJsonContentType(value.datacontenttype))
    return no(
      'invalid-data',
      '/datacontenttype',
      'The attribute datacontenttype must be absent or application/json.',
    );
  const data = dataOf(value);
  if (!data.ok) return no('invalid-data', '/data_base64', 'The member data_base64 must be base64 of JSON.');
  return readData(kind, data.value, { ...identity, kind, instant });
}

function readData(kind: EventKind, data: unknown, event: ManufacturingEvent): ManufacturingEvent | Rejection {
  if (!isDefinitionKind(kind)) {
    const parsed = noticeSchema.safeParse(data);
    if (!parsed.success) return schemaRejection(parsed.error);
    const leaf = parsed.data?.attestation?.type === 'x509' ? parsed.data.attestation.certificate : undefined;
    return leaf && event.subjectKind === 'device' ? { ...event, leafCertificate: leaf } : event;
  }
  if (data === undefined || data === null)
    return {
      reason: 'invalid-data',
      pointer: '/data',
      detail: `${kind} needs data with at least a product.`,
    };
  const parsed = definitionSchema.safeParse(data);
  if (!parsed.success) return schemaRejection(parsed.error);
  const definition = withoutNulls(parsed.data) as unknown as DefinitionData;
  const attestation = definition.attestation;
  const leaf =
    attestation?.type === 'x509' && event.subjectKind === 'device' ? attestation.certificate : undefined;
  return { ...event, definition, ...(leaf === undefined ? {} : { leafCertificate: leaf }) };
}

function schemaRejection(error: z.ZodError): Rejection {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const inAttestation = path[0] === 'attestation';
  // A discriminated union points at its discriminator; where the whole member is wrong, name the member.
  const pointer = `/data${jsonPointer(path)}`;
  return {
    reason: inAttestation ? 'invalid-attestation' : 'invalid-data',
    pointer,
    detail: `${pointer} ${issue?.message ?? 'is not as it should be'}.`,
  };
}

/** Drops members that are null: a sender's way to say nothing. Twin content is left alone. */
function withoutNulls(data: object): JsonObject {
  const opaque = new Set(['tags', 'desired', 'deviceInformation']);
  return Object.fromEntries(
    Object.entries(data)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [name, !opaque.has(name) && isJsonObject(value) ? withoutNulls(value) : value]),
  );
}

type Data = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

function dataOf(value: JsonObject): Data {
  if (value.data_base64 === undefined || value.data_base64 === null) return { ok: true, value: value.data };
  if (typeof value.data_base64 !== 'string') return { ok: false };
  const text = Buffer.from(value.data_base64, 'base64').toString();
  if (nestingDepth(text) > maxNesting) return { ok: false };
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false };
  }
}

function isJsonContentType(contentType: unknown): boolean {
  if (contentType === undefined || contentType === null) return true;
  return typeof contentType === 'string' && /^application\/json\s*(;.*)?$/i.test(contentType.trim());
}

export const dpsIdRule =
  '1 to 128 characters, letters, digits and - . _ :, beginning with a letter or digit and ending with one or a dash';

/** The rule of registration ids and enrollment group ids. */
export const dpsIdPattern = /^[A-Za-z0-9](?:[A-Za-z0-9\-._:]{0,126}[A-Za-z0-9-])?$/;

export function isDpsId(id: string): boolean {
  return dpsIdPattern.test(id);
}
