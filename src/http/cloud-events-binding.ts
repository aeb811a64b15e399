import {
  batchType,
  isJsonType,
  isUtf8Charset,
  readContentType,
  structuredType,
} from '../events/content-type.ts';
import {
  type DecodingProblem,
  decodeJson,
  decodeUtf8,
  maxNesting,
  notUtf8,
  parseJson,
} from '../events/decode-json.ts';
import { isJsonObject } from '../events/json.ts';
import { type ReadEvent, readEventText, readSizedEvent } from '../events/read-event.ts';
import { binaryModeAttributes } from './binary-mode.ts';
import { type EventError, type HttpResponse, json, problem } from './http-response.ts';
import type { Request } from './request.ts';

export const maxRequestBytes = 1024 * 1024;
export const maxEventsPerRequest = 1_000;

/** One event of a request. */
export interface RequestEvent {
  /** JSON text, as it goes on the queue. */
  readonly text: string;
  read(arrivedAt: Date): ReadEvent;
}

/** The events of a request, or the response that refuses it. */
export type RequestEvents =
  | { readonly events: readonly RequestEvent[]; readonly single: boolean; readonly answer?: undefined }
  | { readonly answer: HttpResponse };

/** CloudEvents over HTTP: structured, batched and binary mode, told apart by content type. */
export async function readRequestEvents(request: Request): Promise<RequestEvents> {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    return refuse(415, 'Send the body without Content-Encoding.');
  }
  const { bytes, answer } = await readRequestBody(request);
  if (answer) {
    return { answer };
  }
  const contentType = readContentType(request.headers.get('content-type'));
  if (!isUtf8Charset(contentType)) {
    return refuse(415, 'The body must be UTF-8: send it so, with charset=utf-8 or without a charset.');
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    return invalid(notUtf8);
  }
  const { mediaType } = contentType;
  const isBinary = request.headers.get('ce-specversion') !== null;
  if (mediaType === batchType) {
    return batch(text);
  }
  if (mediaType === structuredType) {
    return single(text);
  }
  if (isBinary && (mediaType === '' || isJsonType(contentType))) {
    return binary(text, request);
  }
  if (mediaType === '' || mediaType === 'application/json' || mediaType === 'text/json') {
    return plainJson(text, request);
  }
  const detail = `The content type ${mediaType.slice(0, 100)} is not known. Send application/cloudevents+json or application/cloudevents-batch+json.`;
  return refuse(415, detail);
}

export type RequestBody =
  | { readonly bytes: Uint8Array; readonly answer?: undefined }
  | { readonly bytes?: undefined; readonly answer: HttpResponse };

/** As it was sent: nothing here decompresses. */
export async function readRequestBody(request: Request): Promise<RequestBody> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > maxRequestBytes) {
    return { answer: tooLarge() };
  }
  const bytes = await request.body();
  return bytes.length > maxRequestBytes ? { answer: tooLarge() } : { bytes };
}

/** Whether a body can be taken for a CloudEvent in structured mode. */
export function isEventInItself(bytes: Uint8Array): boolean {
  const { value } = { value: undefined, ...decodeJson(bytes) };
  return isJsonObject(value) && 'specversion' in value;
}

function single(text: string): RequestEvents {
  return { events: [{ text, read: (arrivedAt) => readEventText(text, arrivedAt) }], single: true };
}

function batch(text: string): RequestEvents {
  // One level is the batch's own.
  const parsed = parseJson(text, maxNesting + 1);
  return parsed.problem ? invalid(parsed.problem) : batchOf(parsed.value);
}

/** A problem of one event in a batch names that event. */
function errorOf({ reason, detail, pointer }: Omit<EventError, 'index'> | DecodingProblem): EventError {
  const [, item, rest] = reason === 'invalid-data' ? (/^\/(\d+)(\/.*)$/s.exec(pointer) ?? []) : [];
  return item === undefined || rest === undefined
    ? { index: 0, pointer, reason, detail }
    : { index: Number(item), pointer: rest, reason, detail };
}

function batchOf(value: unknown): RequestEvents {
  if (!Array.isArray(value)) {
    return refuse(400, 'A batch is a JSON array of CloudEvents.');
  }
  if (value.length > maxEventsPerRequest) {
    const detail = `The batch has ${value.length} events; the limit is ${maxEventsPerRequest}. Send it in parts.`;
    return refuse(413, detail);
  }
  const events = value.map((event: unknown) => {
    const text = JSON.stringify(event);
    // The value is read, not its text: what a text would change is still to be seen there.
    return { text, read: (arrivedAt: Date) => readSizedEvent(event, text, arrivedAt) };
  });
  return { events, single: false };
}

/** Many senders say application/json and mean structured mode; Event Grid's validation event comes like that, too. */
function plainJson(text: string, request: Request): RequestEvents {
  const parsed = parseJson(text, maxNesting + 1);
  if (parsed.problem) {
    return invalid(parsed.problem);
  }
  const validation = eventGridValidation(parsed.value, request);
  if (validation) {
    return { answer: validation };
  }
  return Array.isArray(parsed.value) ? batchOf(parsed.value) : single(text);
}

function binary(text: string, request: Request): RequestEvents {
  const { attributes, problems } = binaryModeAttributes(request);
  if (problems.length > 0) {
    return invalid(...problems);
  }
  if (text.trim() === '') {
    return single(JSON.stringify(attributes));
  }
  const parsed = parseJson(text);
  if (parsed.problem) {
    return invalid(parsed.problem);
  }
  return single(`${JSON.stringify(attributes).slice(0, -1)},"data":${text}}`);
}

/** The code is answered; no URL of the request is ever fetched. */
function eventGridValidation(value: unknown, request: Request): HttpResponse | undefined {
  const [first] = Array.isArray(value) ? value : [value];
  if (!isJsonObject(first) || first.eventType !== 'Microsoft.EventGrid.SubscriptionValidationEvent') {
    return undefined;
  }
  const code = isJsonObject(first.data) ? first.data.validationCode : undefined;
  return typeof code === 'string' && request.method === 'POST'
    ? json(200, { validationResponse: code })
    : undefined;
}

function invalid(
  ...problems: readonly Omit<EventError, 'index'>[] | readonly DecodingProblem[]
): RequestEvents {
  return {
    answer: problem({
      status: 400,
      type: 'invalid-events',
      title: 'Invalid events',
      detail: `${problems[0]?.detail} Nothing was queued.`,
      errors: problems.map(errorOf),
    }),
  };
}

function tooLarge(): HttpResponse {
  const detail = `The body is larger than ${maxRequestBytes} bytes. Send the events in parts.`;
  return problem({ status: 413, detail });
}

function refuse(status: number, detail: string): RequestEvents {
  return { answer: problem({ status, detail }) };
}
