/**
 * A message as the broker keeps it. It is parsed once, when it arrives; the sections that the sender alone owns stay as
 * the bytes that came, and the header and the annotations are written anew for each delivery.
 */
import { randomUUID } from 'node:crypto';
import { messages, type Typed, types } from './rhea.ts';

export interface Message {
  readonly durable: boolean;
  readonly priority: number;
  readonly timeToLiveInMs: number;
  readonly annotations: ReadonlyMap<string, Typed>;
  readonly id: string;
  readonly scheduledFor: number;
  /** Sections as bytes; empty if absent. The body includes the footer. */
  readonly properties: Buffer;
  readonly applicationProperties: Buffer;
  readonly body: Buffer;
}

/** What the broker knows of a message at the moment it hands it out. */
export interface DeliveryStamp {
  readonly sequenceNumber: number;
  readonly enqueuedSequenceNumber: number;
  readonly enqueuedAt: number;
  readonly deliveryCount: number;
  readonly state: 'active' | 'deferred' | 'scheduled';
  readonly lockedUntil?: number;
  /** Of a message that comes without a delivery tag, as a deferred one does. */
  readonly lockToken?: Buffer;
}

const section = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  annotations: 0x72,
  properties: 0x73,
  application: 0x74,
  data: 0x75,
};
const messageStates = { active: 0, deferred: 1, scheduled: 2 };
const scheduledEnqueueTime = 'x-opt-scheduled-enqueue-time';
/** `ttl` is an AMQP uint. */
const longestTimeToLive = 0xffff_ffff;
const nothing = Buffer.alloc(0);

export function parseMessage(encoded: Buffer): Message {
  const bytes = Buffer.from(encoded); // a copy, or one message would keep the whole read buffer of the socket alive
  const reader = new types.Reader(bytes);
  let header: readonly Typed[] = [];
  let annotations: ReadonlyMap<string, Typed> = new Map();
  let properties: Buffer = nothing;
  let propertyFields: readonly Typed[] = [];
  let applicationProperties: Buffer = nothing;
  let body: Buffer = nothing;
  while (reader.remaining() > 0 && body.length === 0) {
    const start = reader.position;
    const read = reader.read();
    switch (read.descriptor?.value) {
      case section.header:
        header = fieldsOf(read);
        break;
      case section.deliveryAnnotations:
        break; // meant for one hop only
      case section.annotations:
        annotations = entriesOf(read);
        break;
      case section.properties:
        properties = bytes.subarray(start, reader.position);
        propertyFields = fieldsOf(read);
        break;
      case section.application:
        applicationProperties = bytes.subarray(start, reader.position);
        break;
      default:
        body = bytes.subarray(start);
    }
  }
  const id = idOf(propertyFields[0]);
  const assigned = id ?? randomUUID().replaceAll('-', '');
  return {
    durable: header[0]?.value === true,
    priority: numberOr(header[1], 4),
    timeToLiveInMs: numberOr(header[2], Number.POSITIVE_INFINITY),
    annotations,
    id: assigned,
    scheduledFor: numberOr(annotations.get(scheduledEnqueueTime), 0),
    properties: id === undefined ? propertiesWithId(propertyFields, assigned) : properties,
    applicationProperties,
    body,
  };
}

/** The client packs several messages into one: each data section of the envelope holds a message. */
export function parseBatch(envelope: Buffer): Message[] {
  const reader = new types.Reader(envelope);
  const batch: Message[] = [];
  while (reader.remaining() > 0) {
    const read = reader.read();
    if (read.descriptor?.value === section.data && Buffer.isBuffer(read.value)) {
      batch.push(parseMessage(read.value));
    }
  }
  return batch;
}

export function withTimeToLive(message: Message, longestInMs: number): Message {
  return message.timeToLiveInMs <= longestInMs ? message : { ...message, timeToLiveInMs: longestInMs };
}

/** Changes and adds application properties, as settling a message may. */
export function withApplicationProperties(
  message: Message,
  changes: Readonly<Record<string, unknown>>,
): Message {
  const changed = Object.entries(changes).filter(([, value]) => value !== undefined && value !== null);
  if (changed.length === 0) {
    return message;
  }
  const present =
    message.applicationProperties.length === 0
      ? new Map<string, Typed>()
      : entriesOf(new types.Reader(message.applicationProperties).read());
  const merged = new Map([...present, ...changed.map(([key, value]) => [key, types.wrap(value)] as const)]);
  const flat = [...merged].flatMap(([key, value]) => [types.wrap_string(key), value]);
  return { ...message, applicationProperties: writeSection(section.application, types.Map32(flat)) };
}

export function encodeMessage(message: Message, stamp: DeliveryStamp): Buffer {
  const annotations = new Map<string, Typed>([
    ...message.annotations,
    ['x-opt-sequence-number', types.wrap_long(stamp.sequenceNumber)],
    ['x-opt-enqueue-sequence-number', types.wrap_long(stamp.enqueuedSequenceNumber)],
    ['x-opt-enqueued-time', types.wrap_timestamp(stamp.enqueuedAt)],
    ['x-opt-message-state', types.wrap_int(messageStates[stamp.state])],
  ]);
  if (stamp.lockedUntil !== undefined) {
    annotations.set('x-opt-locked-until', types.wrap_timestamp(stamp.lockedUntil));
  }
  const flat = [...annotations].flatMap(([key, value]) => [types.wrap_symbol(key), value]);
  const header = messages.header({
    durable: message.durable,
    priority: message.priority,
    ...(Number.isFinite(message.timeToLiveInMs) && {
      ttl: Math.min(message.timeToLiveInMs, longestTimeToLive),
    }),
    delivery_count: stamp.deliveryCount,
  });
  const writer = new types.Writer();
  writer.write(header.described());
  if (stamp.lockToken !== undefined) {
    const token = [types.wrap_symbol('x-opt-lock-token'), types.wrap_uuid(stamp.lockToken)];
    writer.write(types.described(types.wrap_ulong(section.deliveryAnnotations), types.Map32(token)));
  }
  writer.write(types.described(types.wrap_ulong(section.annotations), types.Map32(flat)));
  return Buffer.concat([writer.toBuffer(), message.properties, message.applicationProperties, message.body]);
}

/** The service gives every message an id; the client's lock renewal throws on a message without one. */
function propertiesWithId(fields: readonly Typed[], id: string): Buffer {
  const withId: unknown[] = [...fields]; // rhea hands out one and the same array for every empty list
  withId[0] = types.wrap_string(id);
  return writeSection(section.properties, types.List32(withId));
}

function writeSection(code: number, value: Typed): Buffer {
  const writer = new types.Writer();
  writer.write(types.described(types.wrap_ulong(code), value));
  return Buffer.from(writer.toBuffer()); // the writer's own buffer is much larger
}

function fieldsOf(list: Typed): readonly Typed[] {
  return Array.isArray(list.value) ? list.value : [];
}

function entriesOf(map: Typed): Map<string, Typed> {
  const flat = fieldsOf(map);
  const entries = new Map<string, Typed>();
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const value = flat[i + 1];
    if (value !== undefined) {
      entries.set(String(flat[i]?.value), value);
    }
  }
  return entries;
}

function idOf(field: Typed | undefined): string | undefined {
  if (field?.value === undefined || field.value === null) {
    return undefined;
  }
  return Buffer.isBuffer(field.value) ? field.value.toString('hex') : String(field.value);
}

function numberOr(field: Typed | undefined, otherwise: number): number {
  return field?.value === undefined || field.value === null ? otherwise : Number(field.value);
}
