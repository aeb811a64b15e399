import type { JsonObject } from './json.ts';

/** A message of `manufacturing-events` as the trigger hands it over. */
export interface IncomingMessage {
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly enqueuedAt: Date;
  /** 1 for the first delivery. */
  readonly deliveryCount: number;
}

export interface DecodedMessage {
  /** The event's JSON text. */
  readonly text: string;
  readonly attempt: number;
  readonly firstSeen: Date;
  readonly replay: string | undefined;
  readonly announced: boolean;
  readonly deliveryCount: number;
}

/** Structured mode, or binary mode with application properties `cloudEvents:type`, … or `cloudEvents_type`, …. */
export function decodeMessage(message: IncomingMessage): DecodedMessage {
  const body = new TextDecoder().decode(message.body);
  const properties = new Map(
    Object.entries(message.properties).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const firstSeen = new Date(String(properties.get('firstseen')));
  const replay = properties.get('replay');
  return {
    text: binaryModeText(properties, message.contentType, body) ?? body,
    attempt: Math.max(1, Math.floor(Number(properties.get('attempt') ?? 1)) || 1),
    firstSeen: Number.isNaN(firstSeen.getTime()) ? message.enqueuedAt : firstSeen,
    replay: replay === undefined ? undefined : String(replay),
    announced: properties.get('announced') === true,
    deliveryCount: message.deliveryCount,
  };
}

function binaryModeText(
  properties: ReadonlyMap<string, unknown>,
  contentType: string | undefined,
  body: string,
): string | undefined {
  const event: JsonObject = {};
  for (const [name, value] of properties) {
    const attribute = /^cloudevents[:_]([a-z0-9]+)$/.exec(name)?.[1];
    if (attribute !== undefined) event[attribute] = value instanceof Date ? value.toISOString() : value;
  }
  if (event.specversion === undefined && event.type === undefined) return undefined;
  if (contentType !== undefined && !contentType.startsWith('application/cloudevents'))
    event.datacontenttype ??= contentType;
  if (body.trim() === '') return JSON.stringify(event);
  // The data's own text goes in as it is: if it is no JSON, the whole is none, and is rejected as such.
  const attributes = JSON.stringify(event);
  return `${attributes.slice(0, -1)}${attributes === '{}' ? '' : ','}"data":${body}}`;
}
