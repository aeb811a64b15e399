import { countMembers, isJsonObject, jsonPointer, shapeOf } from './json.ts';
import { lostMember } from './json-members.ts';
import { shownName } from './secret-texts.ts';

/** Levels of arrays and objects. */
export const maxNesting = 64;

/** Why bytes are not JSON that can be kept exactly as it was sent. */
export interface DecodingProblem {
  /** `malformed-json`: not UTF-8, or no JSON. `invalid-data`: JSON that would be changed, or that nests too deep. */
  readonly reason: 'malformed-json' | 'invalid-data';
  readonly pointer: string;
  readonly detail: string;
}

export type Decoded =
  | { readonly value: unknown; readonly problem?: undefined }
  | { readonly problem: DecodingProblem };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text without a byte order mark; undefined where the bytes are not UTF-8. Nothing is ever replaced. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

export const notUtf8: DecodingProblem = {
  reason: 'malformed-json',
  pointer: '',
  detail:
    'The bytes are not UTF-8. Encode the JSON as UTF-8 before sending it; Latin-1 and Windows-1252 are not.',
};

/** The one way from bytes to a JSON value: UTF-8, at most 64 levels, and nothing that would be stored other than it was sent. */
export function decodeJson(bytes: Uint8Array): Decoded {
  const text = decodeUtf8(bytes);
  return text === undefined ? { problem: notUtf8 } : decodeJsonText(text);
}

export function decodeJsonText(text: string): Decoded {
  const parsed = parseJson(text);
  if (parsed.problem) {
    return parsed;
  }
  const problem = inexactMember(parsed.value);
  return problem ? { problem } : parsed;
}

/**
 * Syntax, depth, and that nothing of the text is lost on the way to the value: a name that an object has twice, a number
 * that is too small. `inexactMember` looks at what was parsed. The depth is counted before anything recurses.
 */
export function parseJson(text: string, levels = maxNesting): Decoded {
  const { depth, members, mayUnderflow } = shapeOf(text);
  if (depth > levels) {
    const detail = `The JSON nests deeper than ${maxNesting} levels. Send it flatter.`;
    return { problem: { reason: 'invalid-data', pointer: '', detail } };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = `The text is not JSON${placeOf(error)}.`;
    return { problem: { reason: 'malformed-json', pointer: '', detail } };
  }
  const lost = mayUnderflow || countMembers(value) !== members ? lostMember(text) : undefined;
  return lost ? { problem: { reason: 'invalid-data', ...lost } } : { value };
}

/** Where the parser stopped, without what it quotes from there. */
function placeOf(error: unknown): string {
  const place = /\(line (\d+) column (\d+)\)$/.exec((error as Error).message);
  return place ? `, from line ${place[1]}, column ${place[2]} on` : '';
}

/**
 * The first text, name or number that this runtime, a table or DPS would change: half a character (a lone surrogate), an
 * integer that a double cannot hold, a number that is not finite. `value` nests no deeper than JSON that was parsed here.
 */
export function inexactMember(value: unknown): DecodingProblem | undefined {
  const found = inexact(value);
  return (
    found && { reason: 'invalid-data', pointer: jsonPointer(found.path.reverse()), detail: found.detail }
  );
}

interface Inexact {
  /** From the inside out. */
  readonly path: string[];
  readonly detail: string;
}

function inexact(value: unknown): Inexact | undefined {
  if (typeof value === 'string') {
    return value.isWellFormed() ? undefined : { path: [], detail: loneSurrogate };
  }
  if (typeof value === 'number') {
    return numberProblem(value);
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const found = inexact(value[index]);
      if (found) {
        found.path.push(String(index));
        return found;
      }
    }
    return undefined;
  }
  if (!isJsonObject(value)) {
    return undefined;
  }
  for (const name of Object.keys(value)) {
    const found = name.isWellFormed() ? inexact(value[name]) : { path: [], detail: loneSurrogate };
    if (found) {
      found.path.push(shownName(name.toWellFormed()));
      return found;
    }
  }
  return undefined;
}

const loneSurrogate =
  'The text has half of a surrogate pair, which is no character. Send both halves, or the character itself.';

function numberProblem(value: number): Inexact | undefined {
  if (!Number.isFinite(value)) {
    return { path: [], detail: 'The number is too large. Send a smaller one, or a text.' };
  }
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    const detail =
      'The number is beyond ±9007199254740991 and would lose digits. Send it as a text, in quotation marks.';
    return { path: [], detail };
  }
  return undefined;
}
