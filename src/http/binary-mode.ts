import { decodeUtf8 } from '../events/decode-json.ts';
import type { JsonObject } from '../events/json.ts';
import type { EventError } from './http-response.ts';
import type { Request } from './request.ts';

export interface BinaryModeAttributes {
  readonly attributes: JsonObject;
  readonly problems: readonly Omit<EventError, 'index'>[];
}

const names = ['specversion', 'id', 'source', 'type', 'subject', 'time', 'dataschema'] as const;

/** The attributes of an event in binary mode, from the headers `ce-…`; nothing of a value is replaced or left out. */
export function binaryModeAttributes({ headers }: Pick<Request, 'headers'>): BinaryModeAttributes {
  const attributes: JsonObject = {};
  const problems: Omit<EventError, 'index'>[] = [];
  for (const name of names) {
    const header = headers.get(`ce-${name}`);
    if (header === null) {
      continue;
    }
    const value = headerValue(header);
    if (value === undefined) {
      const detail = `The header ce-${name} must be ASCII, with all other characters percent-encoded as UTF-8.`;
      problems.push({ pointer: `/${name}`, reason: 'not-a-cloudevent', detail });
    } else {
      attributes[name] = value;
    }
  }
  const contentType = headers.get('content-type');
  if (contentType !== null && contentType !== '') {
    attributes.datacontenttype = contentType;
  }
  return { attributes, problems };
}

/**
 * CloudEvents HTTP protocol binding, 3.1.3.2: a value in quotation marks loses them and its escapes, then percent-encoded
 * bytes are decoded. Undefined where they are no UTF-8, or the header has other characters than ASCII.
 */
function headerValue(header: string): string | undefined {
  const trimmed = header.trim();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them, and nothing beyond
  if (!/^[\x00-\x7f]*$/.test(trimmed)) {
    return undefined;
  }
  const isQuoted = trimmed.length >= 2 && trimmed.startsWith('"') && trimmed.endsWith('"');
  const value = isQuoted ? trimmed.slice(1, -1).replace(/\\(.)/g, '$1') : trimmed;
  let isText = true;
  const decoded = value.replace(/(?:%[0-9A-Fa-f]{2})+/g, (encoded) => {
    const text = decodeUtf8(Buffer.from(encoded.replaceAll('%', ''), 'hex'));
    isText &&= text !== undefined;
    return text ?? '';
  });
  return isText ? decoded : undefined;
}
