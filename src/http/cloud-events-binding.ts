import { isJsonObject, type JsonObject, nestingDepth } from '../events/json.ts';
import { maxNesting } from '../events/read-event.ts';
import { type Answer, json, problem } from './answer.ts';
import type { Request } from './request.ts';

export const maxRequestBytes = 1024 * 1024;
export const maxEventsPerRequest = 1_000;

/** The texts of the events of a request, each one JSON CloudEvent; or the answer that there are none. */
export type RequestEvents =
  | { readonly texts: readonly string[]; readonly single: boolean; readonly answer?: undefined }
  | { readonly answer: Answer };

/** CloudEvents over HTTP: structured, batched and binary mode, told apart by content type. */
export async function readRequestEvents(request: Request): Promise<RequestEvents> {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity')
    return no(415, 'Send the body without Content-Encoding.');
  const { bytes, answer } = await readRequestBody(request);
  if (answer) return { answer };
  const text = new TextDecoder().decode(bytes);
  const contentType = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (contentType === 'application/cloudevents-batch+json') return batch(text);
  if (contentType === 'application/cloudevents+json') return { texts: [text], single: true };
  if (contentType !== '' && contentType !== 'application/json')
    return no(
      415,
      `The content type ${contentType} is not known. Send application/cloudevents+json or application/cloudevents-batch+json.`,
    );
  return request.headers.get('ce-specversion') === null
    ? plainJson(text, request)
    : binary(text, request, contentType);
}

export type RequestBody =
  | { readonly bytes: Uint8Array; readonly answer?: undefined }
  | { readonly bytes?: undefined; readonly answer: Answer };

/** As it was sent: nothing here decompresses. */
export async function readRequestBody(request: Request): Promise<RequestBody> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > maxRequestBytes) return { answer: tooLarge() };
  const bytes = await request.body();
  return bytes.length > maxRequestBytes ? { answer: tooLarge() } : { bytes };
}

/** Whether a body can be taken for a CloudEvent in structured mode. */
export function isEventInItself(bytes: Uint8Array): boolean {
  const value = parse(new TextDecoder().decode(bytes));
  return isJsonObject(value) && 'specversion' in value;
}

function batch(text: string): RequestEvents {
  const value = parse(text);
  if (value === undefined) return malformed();
  if (!Array.isArray(value)) return no(400, 'A batch is a JSON array of CloudEvents.');
  if (value.length > maxEventsPerRequest)
    return no(
      413,
      `The batch has ${value.length} events; the limit is ${maxEventsPerRequest}. Send it in parts.`,
    );
  return { texts: value.map((event) => JSON.stringify(event) ?? 'null'), single: false };
}

/** Many senders say application/json and mean structured mode; Event Grid's validation event comes like that, too. */
function plainJson(text: string, request: Request): RequestEvents {
  if (nestingDepth(text) > maxNesting) return { texts: [text], single: true };
  const value = parse(text);
  if (value === undefined) return malformed();
  const validation = eventGridValidation(value, request);
  if (validation) return { answer: validation };
  return Array.isArray(value) ? batch(text) : { texts: [text], single: true };
}

function binary(text: string, request: Request, contentType: string): RequestEvents {
  const event: JsonObject = {};
  for (const name of ['specversion', 'id', 'source', 'type', 'subject', 'time', 'dataschema']) {
    const value = request.headers.get(`ce-${name}`);
    if (value !== null) event[name] = percentDecoded(value);
  }
  if (contentType !== '') event.datacontenttype = contentType;
  if (text.trim() === '') return { texts: [JSON.stringify(event)], single: true };
  if (nestingDepth(text) > maxNesting || parse(text) === undefined) return malformed();
  return { texts: [`${JSON.stringify(event).slice(0, -1)},"data":${text}}`], single: true };
}

/** The code is answered; no URL of the request is ever fetched. */
function eventGridValidation(value: unknown, request: Request): Answer | undefined {
  const [first] = Array.isArray(value) ? value : [value];
  if (!isJsonObject(first) || first.eventType !== 'Microsoft.EventGrid.SubscriptionValidationEvent')
    return undefined;
  const code = isJsonObject(first.data) ? first.data.validationCode : undefined;
  if (typeof code !== 'string' || request.method !== 'POST') return undefined;
  return json(200, { validationResponse: code });
}

function parse(text: string): unknown {
  if (nestingDepth(text) > maxNesting + 1) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function percentDecoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function malformed(): RequestEvents {
  const detail = 'The body is not JSON.';
  return {
    answer: problem({
      status: 400,
      type: 'invalid-events',
      title: 'Invalid events',
      detail: 'The body is not JSON. Nothing was queued.',
      errors: [{ index: 0, pointer: '', reason: 'malformed-json', detail }],
    }),
  };
}

function tooLarge(): Answer {
  const detail = `The body is larger than ${maxRequestBytes} bytes. Send the events in parts.`;
  return problem({ status: 413, detail });
}

function no(status: number, detail: string): RequestEvents {
  return { answer: problem({ status, detail }) };
}
