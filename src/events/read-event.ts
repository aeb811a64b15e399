import { decodeUtf8, inexactMember, notUtf8, parseJson } from './decode-json.ts';
import { bodyKey, type EventKey } from './event-identity.ts';
import { isJsonObject } from './json.ts';
import type { EventIdentity, ManufacturingEvent } from './manufacturing-event.ts';
import { contentTypeProblem, decodeData, readData } from './read-data.ts';
import {
  identityProblems,
  type ReadableEnvelope,
  readAttributes,
  readableEnvelope,
  readIdentity,
} from './read-envelope.ts';
import type { EventWarning, Rejection } from './rejection.ts';

export { maxNesting } from './decode-json.ts';
export { dpsIdPattern, dpsIdRule, isDpsId, maxAheadInMs } from './read-envelope.ts';

export const maxEventBytes = 192 * 1024;

export type ReadEvent =
  | {
      readonly kind: 'event';
      readonly event: ManufacturingEvent;
      readonly warnings: readonly EventWarning[];
    }
  | {
      readonly kind: 'rejected';
      readonly rejection: Rejection;
      /** What else is wrong. */
      readonly others: readonly Rejection[];
      /** Of the event, or of the body where there is no event to speak of. */
      readonly key: EventKey;
      /** Known once source, id and subject read. */
      readonly identity?: EventIdentity;
      /** What of the envelope reads, where that is too little for an identity. */
      readonly readable?: ReadableEnvelope;
      /** The event, where its data reads: so that whatever else is wrong can be told at once. */
      readonly event?: ManufacturingEvent;
    };

/** Reads one CloudEvent from the bytes of its JSON text. */
export function readEventBytes(bytes: Uint8Array, arrivedAt: Date): ReadEvent {
  const text = decodeUtf8(bytes);
  return text === undefined ? unread(bytes, notUtf8) : readEventText(text, arrivedAt);
}

/** Reads one CloudEvent in JSON text, as structured mode and the queue carry it. */
export function readEventText(text: string, arrivedAt: Date): ReadEvent {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxEventBytes) {
    return tooLarge(text, bytes, arrivedAt);
  }
  let parsed = parseJson(text);
  // Some senders encode twice: a JSON string that holds the event. What is in there is looked at in the same way.
  if (!parsed.problem && typeof parsed.value === 'string') {
    parsed = parseJson(parsed.value);
  }
  if (!parsed.problem) {
    return readEventValue(parsed.value, text, arrivedAt);
  }
  const advice =
    parsed.problem.reason === 'malformed-json' ? ' Send one CloudEvent as application/cloudevents+json.' : '';
  return unread(text, { ...parsed.problem, detail: `${parsed.problem.detail}${advice}` });
}

/** The same of a JSON value that was part of a larger text; `text` is its own. */
export function readSizedEvent(value: unknown, text: string, arrivedAt: Date): ReadEvent {
  const isSmall = text.length * 3 <= maxEventBytes || Buffer.byteLength(text) <= maxEventBytes;
  return isSmall ? readEventValue(value, text, arrivedAt) : readEventText(text, arrivedAt);
}

/** Reads one CloudEvent from its JSON value. `text` is what stands for it where it turns out to be no event. */
export function readEventValue(value: unknown, text: string, arrivedAt: Date): ReadEvent {
  if (!isJsonObject(value)) {
    return unread(text, {
      reason: 'not-a-cloudevent',
      pointer: '',
      detail: 'The body is JSON, but not an object.',
    });
  }
  const inexact = inexactMember(value);
  const [first, ...more] = identityProblems(value);
  if (first) {
    const others = inexact ? [...more, inexact] : more;
    return { ...unread(text, first, others), readable: readableEnvelope(value) };
  }
  return readWhole(value, inexact, arrivedAt);
}

function readWhole(
  value: Record<string, unknown>,
  inexact: Rejection | undefined,
  arrivedAt: Date,
): ReadEvent {
  const decoded = decodeData(value);
  const encoded = decoded.pointer === '/data_base64' ? inexactMember(decoded.value) : undefined;
  const identity = readIdentity(value, decoded.value);
  const { problems, kind, instant } = readAttributes(value, identity, arrivedAt);
  const isReadable = !inexact && !encoded && !decoded.problem;
  const data = kind && isReadable ? readData(kind, decoded.value, identity.subjectKind) : undefined;
  const { problems: dataProblems = [], warnings = [], ...content } = data ?? {};
  const wrong = [
    ...problems,
    contentTypeProblem(value),
    inexact,
    decoded.problem,
    encoded && { ...encoded, pointer: `/data_base64${encoded.pointer}` },
    ...dataProblems,
  ].filter((problem) => problem !== undefined);
  const event = kind && instant && data && { ...identity, kind, instant, ...content };
  const [rejection, ...others] = wrong;
  if (!rejection && event) {
    return { kind: 'event', event, warnings };
  }
  const failed = rejection ?? { reason: 'invalid-data', pointer: '', detail: 'The event cannot be read.' };
  return {
    kind: 'rejected',
    rejection: failed,
    others,
    key: identity.key,
    identity,
    ...(event ? { event } : {}),
  };
}

/** Whose event it is may be told all the same. */
function tooLarge(text: string, bytes: number, arrivedAt: Date): ReadEvent {
  const detail = `The event has ${bytes} bytes; the limit is ${maxEventBytes}. Send less in tags, desired and deviceInformation.`;
  const rejection: Rejection = { reason: 'too-large', pointer: '', detail };
  const parsed = bytes > 1024 * 1024 ? undefined : parseJson(text);
  if (!parsed || parsed.problem) {
    return unread(text, rejection);
  }
  const read = readEventValue(parsed.value, text, arrivedAt);
  const identity = read.kind === 'event' ? read.event : read.identity;
  return identity
    ? { kind: 'rejected', key: identity.key, identity, rejection, others: [] }
    : {
        ...unread(text, rejection),
        ...(read.kind === 'rejected' && read.readable ? { readable: read.readable } : {}),
      };
}

function unread(body: string | Uint8Array, rejection: Rejection, others: readonly Rejection[] = []) {
  return { kind: 'rejected', key: bodyKey(body), rejection, others } as const;
}
