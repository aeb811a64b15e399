export type JsonObject = { [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a JSON text is made of, counted without recursion. Of a text that is no JSON the numbers mean nothing. */
export interface JsonShape {
  /** How deep arrays and objects nest. */
  readonly depth: number;
  /** Members of objects, as many as are written. */
  readonly members: number;
  /** A number with a negative exponent, or so many digits that it may be too small to be held. */
  readonly mayUnderflow: boolean;
}

/** No number with fewer characters and without an exponent is too small for a double. */
const longNumber = 300;

export function shapeOf(text: string): JsonShape {
  let depth = 0;
  let deepest = 0;
  let members = 0;
  let mayUnderflow = false;
  let inString = false;
  let outsideSince = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) {
        index++;
      } else if (code === 0x22) {
        inString = false;
        outsideSince = index;
      }
      continue;
    }
    if (code === 0x22) {
      inString = true;
      mayUnderflow ||= index - outsideSince > longNumber;
    } else if (code === 0x3a) {
      members++;
    } else if (code === 0x5b || code === 0x7b) {
      depth++;
      deepest = depth > deepest ? depth : deepest;
    } else if (code === 0x5d || code === 0x7d) {
      depth--;
    } else if (code === 0x2d) {
      const before = text.charCodeAt(index - 1);
      mayUnderflow ||= before === 0x65 || before === 0x45;
    }
  }
  return { depth: deepest, members, mayUnderflow: mayUnderflow || text.length - outsideSince > longNumber };
}

/** Members of all objects in a value that nests no deeper than was allowed. */
export function countMembers(value: unknown): number {
  let count = 0;
  if (Array.isArray(value)) {
    for (const each of value) {
      count += typeof each === 'object' ? countMembers(each) : 0;
    }
  } else if (isJsonObject(value)) {
    for (const name of Object.keys(value)) {
      const member = value[name];
      count += typeof member === 'object' ? 1 + countMembers(member) : 1;
    }
  }
  return count;
}

/** One text for equal JSON values: members sorted by name, no spaces. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonicalJson).join(',')}]`;
  }
  if (!isJsonObject(value)) {
    return JSON.stringify(value) ?? 'null';
  }
  let members = '';
  for (const key of Object.keys(value).sort()) {
    if (value[key] !== undefined) {
      members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(value[key])}`;
    }
  }
  return `{${members}}`;
}

/** RFC 6901. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
