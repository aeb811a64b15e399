import { isObject, type JsonObject } from '../json-input.ts';
import { HubError } from './errors.ts';

export interface HubQuery {
  /** Of the answer's lines; undefined is the whole twin. `COUNT() AS n` is one line with the number. */
  readonly projection: readonly { readonly path: string; readonly name: string }[] | undefined;
  readonly countName: string | undefined;
  fits(twin: JsonObject): boolean;
}

type Condition = (twin: JsonObject) => boolean;

const shape = /^\s*select\s+(.+?)\s+from\s+devices(?:\s+where\s+(.+?))?\s*$/is;
const pathPattern = String.raw`[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*`;
const literalPattern = String.raw`'(?:[^']|'')*'|-?\d+(?:\.\d+)?|true|false|null`;
const comparison = new RegExp(`^(${pathPattern})\\s*(=|!=|<>)\\s*(${literalPattern})$`, 'i');
const membership = new RegExp(
  `^(${pathPattern})\\s+(in|nin)\\s+\\[\\s*((?:${literalPattern})(?:\\s*,\\s*(?:${literalPattern}))*)\\s*\\]$`,
  'i',
);
const isDefinedPattern = new RegExp(`^is_defined\\(\\s*(${pathPattern})\\s*\\)$`, 'i');

/**
 * Reads a part of the hub's query language: comparisons of primitives, IN, NIN and is_defined, joined by AND.
 * @throws HubError ArgumentInvalid for the rest
 */
export function readQuery(text: string): HubQuery {
  const [, selected = '', where] = shape.exec(text) ?? [];
  if (selected === '') {
    throw notOffered(text);
  }
  const conditions = where === undefined ? [] : splitAtAnd(where).map(readCondition);
  const countName = /^count\(\s*\)(?:\s+as\s+(\w+))?$/i.exec(selected);
  return {
    projection: selected === '*' || countName ? undefined : selected.split(',').map(readColumn),
    countName: countName ? (countName[1] ?? '$1') : undefined,
    fits: (twin) => conditions.every((condition) => condition(twin)),
  };
}

/** Not within texts. */
function splitAtAnd(where: string): string[] {
  const parts = [''];
  for (const piece of where.split(/('(?:[^']|'')*')/)) {
    const [first = '', ...more] = piece.startsWith("'") ? [piece] : piece.split(/\s+and\s+/i);
    parts[parts.length - 1] += first;
    parts.push(...more);
  }
  return parts.map((part) => part.trim());
}

function readColumn(text: string): { path: string; name: string } {
  const [, path, name] = new RegExp(`^(${pathPattern})(?:\\s+as\\s+(\\w+))?$`, 'i').exec(text.trim()) ?? [];
  if (path === undefined) {
    throw notOffered(text);
  }
  return { path, name: name ?? path.split('.').at(-1) ?? path };
}

function readCondition(text: string): Condition {
  const [, compared, operator, literal] = comparison.exec(text) ?? [];
  if (compared !== undefined && literal !== undefined) {
    const value = literalValue(literal);
    return (twin) => (valueAt(twin, compared) === value) === (operator === '=');
  }
  const [, listed, kind, list] = membership.exec(text) ?? [];
  if (listed !== undefined && list !== undefined) {
    const values = [...list.matchAll(new RegExp(literalPattern, 'gi'))].map(([each]) => literalValue(each));
    return (twin) => values.includes(valueAt(twin, listed)) === (kind?.toLowerCase() === 'in');
  }
  const [, defined] = isDefinedPattern.exec(text) ?? [];
  if (defined !== undefined) {
    return (twin) => valueAt(twin, defined) !== undefined;
  }
  throw notOffered(text);
}

function literalValue(literal: string): unknown {
  return literal.startsWith("'")
    ? literal.slice(1, -1).replaceAll("''", "'")
    : JSON.parse(literal.toLowerCase());
}

export function valueAt(twin: JsonObject, path: string): unknown {
  let value: unknown = twin;
  for (const name of path.split('.')) {
    value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

function notOffered(text: string): HubError {
  return new HubError('ArgumentInvalid', `The emulator does not know this part of a query: ${text}`);
}
