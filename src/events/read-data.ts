import type * as z from 'zod';

import { isJsonType, isUtf8Charset, readContentType } from './content-type.ts';
import { decodeUtf8, maxNesting, notUtf8, parseJson } from './decode-json.ts';
import { definitionSchema, knownMembers, statusEventSchema } from './event-data-schema.ts';
import { isJsonObject, type JsonObject, jsonPointer } from './json.ts';
import {
  type DefinitionData,
  type EventKind,
  isDefinitionKind,
  type SubjectKind,
} from './manufacturing-event.ts';
import type { EventWarning, Rejection } from './rejection.ts';
import { shownName } from './secret-texts.ts';
import { twinProblems } from './twin-content.ts';
import { unknownMembers } from './unknown-members.ts';

/** The `data` of an event, from either of the members that can carry it. */
export interface DecodedData {
  readonly value: unknown;
  readonly problem?: Rejection;
  /** Where the value stands: `/data` or `/data_base64`. */
  readonly pointer: '/data' | '/data_base64';
}

export function decodeData(value: JsonObject): DecodedData {
  if (value.data_base64 === undefined || value.data_base64 === null) {
    return { value: value.data, pointer: '/data' };
  }
  const pointer = '/data_base64';
  const failed = (reason: Rejection['reason'], detail: string, within = '') =>
    ({ value: null, pointer, problem: { reason, pointer: `${pointer}${within}`, detail } }) as const;
  const encoded = value.data_base64;
  const bytes = typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : undefined;
  if (bytes === undefined || withoutPadding(bytes.toString('base64')) !== withoutPadding(String(encoded))) {
    return failed('invalid-data', 'The member data_base64 must be base64 of JSON.');
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    return failed('malformed-json', `The member data_base64 holds no JSON. ${notUtf8.detail}`);
  }
  // One level is the event's own.
  const { value: data, problem } = { value: null, ...parseJson(text, maxNesting - 1) };
  if (problem) {
    return failed(
      'invalid-data',
      `The member data_base64 must be base64 of JSON. ${problem.detail}`,
      problem.pointer,
    );
  }
  return { value: data, pointer };
}

function withoutPadding(base64: string): string {
  return base64.endsWith('==') ? base64.slice(0, -2) : base64.endsWith('=') ? base64.slice(0, -1) : base64;
}

/** The sender's word on what `data` is: JSON, or nothing said. */
export function contentTypeProblem(value: JsonObject): Rejection | undefined {
  const given = value.datacontenttype;
  if (given === undefined || given === null) {
    return undefined;
  }
  const type = readContentType(String(given));
  const isEncoded = value.data_base64 !== undefined && value.data_base64 !== null;
  if (typeof given === 'string' && isJsonType(type) && (!isEncoded || isUtf8Charset(type))) {
    return undefined;
  }
  return {
    reason: 'invalid-data',
    pointer: '/datacontenttype',
    detail:
      'The attribute datacontenttype must be absent, or application/json or another JSON type, in UTF-8.',
  };
}

export interface ReadData {
  readonly problems: readonly Rejection[];
  readonly warnings: readonly EventWarning[];
  readonly definition?: DefinitionData;
  readonly leafCertificate?: string;
  /** Why somebody holds a device or batch. */
  readonly reason?: string;
}

export function readData(kind: EventKind, data: unknown, subjectKind: SubjectKind): ReadData {
  return isDefinitionKind(kind)
    ? readDefinition(kind, data, subjectKind)
    : readNotice(kind, data, subjectKind);
}

function readNotice(kind: EventKind, data: unknown, subjectKind: SubjectKind): ReadData {
  const parsed = statusEventSchema.safeParse(data);
  if (!parsed.success) {
    return { problems: schemaProblems(parsed.error), warnings: [] };
  }
  const { attestation, reason } = parsed.data ?? {};
  const leaf = attestation?.type === 'x509' && subjectKind === 'device' ? attestation.certificate : undefined;
  return {
    problems: [],
    warnings: warningsOf(data, knownMembers.notice),
    ...(leaf ? { leafCertificate: leaf } : {}),
    ...(reason && kind.endsWith('.held') ? { reason } : {}),
  };
}

function readDefinition(kind: EventKind, data: unknown, subjectKind: SubjectKind): ReadData {
  if (data === undefined || data === null) {
    const detail = `The data is missing: ${kind} needs at least a product.`;
    return { problems: [{ reason: 'invalid-data', pointer: '/data', detail }], warnings: [] };
  }
  const twin = isJsonObject(data)
    ? [...contentProblems('tags', data), ...contentProblems('desired', data)]
    : [];
  const warnings = warningsOf(data, knownMembers.definition);
  const parsed = definitionSchema.safeParse(data);
  if (!parsed.success) {
    return { problems: [...schemaProblems(parsed.error), ...twin], warnings };
  }
  const definition = withoutNulls(parsed.data) as unknown as DefinitionData;
  const { attestation } = definition;
  const leaf = attestation?.type === 'x509' && subjectKind === 'device' ? attestation.certificate : undefined;
  return { problems: twin, warnings, definition, ...(leaf === undefined ? {} : { leafCertificate: leaf }) };
}

function contentProblems(name: 'tags' | 'desired', data: JsonObject): Rejection[] {
  const content = data[name];
  if (!isJsonObject(content)) {
    return [];
  }
  return twinProblems(name, content).map(({ path, detail }) => {
    const pointer = `/data${jsonPointer([name, ...path])}`;
    return { reason: 'invalid-data', pointer, detail: `${pointer} ${detail}.` };
  });
}

function warningsOf(data: unknown, known: readonly string[]): EventWarning[] {
  if (!isJsonObject(data)) {
    return [];
  }
  return [
    ...unknownMembers(data, known, '/data'),
    ...unknownMembers(data.attestation, knownMembers.attestation, '/data/attestation'),
  ];
}

function schemaProblems(error: z.ZodError): Rejection[] {
  return error.issues.map(({ path, message }) => {
    const pointer = `/data${jsonPointer(path.map((step) => shownName(String(step))))}`;
    const reason = path[0] === 'attestation' ? 'invalid-attestation' : 'invalid-data';
    return { reason, pointer, detail: `${pointer} ${message}.` };
  });
}

/** Drops members that are null: a sender's way to say nothing. Twin content is left alone. */
function withoutNulls(data: object): JsonObject {
  const opaque = new Set(['tags', 'desired', 'deviceInformation', 'labels']);
  return Object.fromEntries(
    Object.entries(data)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [name, !opaque.has(name) && isJsonObject(value) ? withoutNulls(value) : value]),
  );
}
