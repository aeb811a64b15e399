import { batchType, isUtf8Charset, readContentType, structuredType } from './content-type.ts';
import { type DecodingProblem, decodeUtf8, notUtf8, parseJson } from './decode-json.ts';
import type { QueuedEvent } from './event-bus.ts';
import { bodyKey, type EventKey } from './event-identity.ts';
import type { JsonObject } from './json.ts';
import { readMarks } from './message-marks.ts';
import { type ReadableEnvelope, readableEnvelope } from './read-envelope.ts';
import { type ReadEvent, readEventText } from './read-event.ts';

/** A message of `manufacturing-events` as the trigger hands it over. */
export interface IncomingMessage {
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly enqueuedAt: Date;
  /** 1 for the first delivery. */
  readonly deliveryCount: number;
  readonly messageId?: string | undefined;
  /** What Service Bus calls this message, in all its deliveries. */
  readonly name: string | undefined;
}

export interface DecodedMessage {
  /** The event's JSON text; of a body that is none, what stands for it where texts are shown or counted. */
  readonly text: string;
  /** Why there is no JSON text, and the bytes as they came. */
  readonly unreadable?: UnreadableBody;
  /** The first message of the chain: an event that is sent again carries it. */
  readonly chain: string;
  /** The place in the chain, from 1. */
  readonly attempt: number;
  /** Failed attempts so far. */
  readonly tries: number;
  readonly firstSeen: Date;
  readonly replay: string | undefined;
  readonly announced: boolean;
  readonly deliveryCount: number;
  /** As its sender, or our own intake, named the message. */
  readonly messageId?: string | undefined;
  /** The sender that signed the event, where one did. */
  readonly sender?: string | undefined;
}

export interface UnreadableBody {
  readonly problem: DecodingProblem;
  readonly bytes: Uint8Array;
  readonly readable: ReadableEnvelope;
}

export interface DecodingBounds {
  /** When the message is at hand. */
  readonly now: Date;
  /** How long events are kept: nothing that is worked on is older. */
  readonly retentionInMs: number;
}

/** Structured mode, or binary mode with application properties `cloudEvents:type`, … or `cloudEvents_type`, …. */
export function decodeMessage(message: IncomingMessage, bounds: DecodingBounds): DecodedMessage {
  const marks = readMarks(message.properties, message.enqueuedAt, bounds);
  const messageId = marks.messageId ?? message.messageId;
  const chain = marks.chain ?? message.name ?? bodyKey(message.body);
  return { ...decodeBody(message), ...marks, chain, deliveryCount: message.deliveryCount, messageId };
}

/** Reads the event of a message, or says why there is none. */
export function readMessage({ text, unreadable, firstSeen }: DecodedMessage): ReadEvent {
  if (!unreadable) {
    return readEventText(text, firstSeen);
  }
  const { problem: rejection, bytes, readable } = unreadable;
  return { kind: 'rejected', key: bodyKey(bytes), rejection, others: [], readable };
}

/** The same message once more, for a later attempt: its successor in the chain. */
export function queuedAgain(
  message: DecodedMessage,
  key: EventKey,
  next: { readonly tries: number; readonly nonce: string; readonly notBefore: Date },
): QueuedEvent {
  const { text, unreadable, chain, attempt, firstSeen, replay, sender, messageId } = message;
  const body = unreadable?.bytes ?? text;
  const known = { chain, attempt: attempt + 1, firstSeen, replay, announced: true, sender, messageId };
  return { ...known, ...next, key, body };
}

function decodeBody({
  body,
  contentType,
  properties,
}: IncomingMessage): Pick<DecodedMessage, 'text' | 'unreadable'> {
  const type = readContentType(contentType);
  const isStructured = type.mediaType === structuredType || type.mediaType === batchType;
  const attributes = isStructured ? undefined : binaryModeAttributes(properties, contentType);
  const text = isUtf8Charset(type) ? decodeUtf8(body) : undefined;
  if (text === undefined) {
    return unreadableBody(body, attributes, { ...notUtf8, detail: undecodable(type.charset) });
  }
  if (attributes === undefined) {
    return { text };
  }
  if (text.trim() === '') {
    return { text: JSON.stringify(attributes) };
  }
  // Only what is JSON by itself goes in as it is: nothing of the body can become an attribute.
  const { problem } = parseJson(text);
  const head = JSON.stringify(attributes).slice(0, -1);
  return problem ? unreadableBody(body, attributes, problem) : { text: `${head},"data":${text}}` };
}

function unreadableBody(bytes: Uint8Array, attributes: JsonObject | undefined, problem: DecodingProblem) {
  const readable = attributes ? readableEnvelope(attributes) : {};
  return { text: Buffer.from(bytes).toString('latin1'), unreadable: { problem, bytes, readable } };
}

function undecodable(charset: string | undefined): string {
  return charset === undefined
    ? notUtf8.detail
    : `The content type names a charset other than UTF-8. ${notUtf8.detail}`;
}

/** Undefined where the properties do not say that they are the event. */
function binaryModeAttributes(
  properties: IncomingMessage['properties'],
  contentType: string | undefined,
): JsonObject | undefined {
  const event: JsonObject = {};
  for (const [name, value] of Object.entries(properties)) {
    const attribute = /^cloudevents[:_]([a-z0-9]{1,64})$/i.exec(name)?.[1]?.toLowerCase();
    if (attribute !== undefined && attribute !== 'data') {
      event[attribute] = value instanceof Date ? value.toISOString() : value;
    }
  }
  if (event.specversion === undefined && event.type === undefined) {
    return undefined;
  }
  if (contentType !== undefined && contentType !== '') {
    event.datacontenttype ??= contentType;
  }
  return event;
}
