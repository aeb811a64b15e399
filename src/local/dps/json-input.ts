import { isUtf8 } from 'node:buffer';
import { ServiceError } from './errors.ts';
import { MAX_JSON_DEPTH } from './limits.ts';

export type JsonObject = { readonly [member: string]: unknown };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACKETS_OPEN = new Set([0x5b, 0x7b]);
const BRACKETS_CLOSE = new Set([0x5d, 0x7d]);

/**
 * Parses a request body that must be a JSON object.
 * @throws ServiceError `invalidArgument`
 */
export function parseJsonObject(body: Buffer): JsonObject {
  const text = isUtf8(body) ? body.toString('utf8') : undefined;
  if (text === undefined) throw new ServiceError('invalidArgument', 'The body is not UTF-8.');
  if (body.length > MAX_JSON_DEPTH && isTooDeep(body)) {
    throw new ServiceError('invalidArgument', `The body is nested deeper than ${MAX_JSON_DEPTH} levels.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ServiceError('invalidArgument', 'The body is not valid JSON.');
  }
  if (!isObject(value)) throw new ServiceError('invalidArgument', 'The body must be a JSON object.');
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that is null counts as absent: the service drops nulls. */
export function present(value: unknown): unknown {
  return value === null ? undefined : value;
}

export function optionalObject(parent: JsonObject, member: string): JsonObject | undefined {
  const value = present(parent[member]);
  if (value === undefined || isObject(value)) return value;
  throw invalid(member, 'must be an object');
}

export function optionalString(parent: JsonObject, member: string): string | undefined {
  const value = present(parent[member]);
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw invalid(member, 'must be a non-empty string');
  return value;
}

export function requiredString(parent: JsonObject, member: string): string {
  const value = optionalString(parent, member);
  if (value === undefined) throw invalid(member, 'is required');
  return value;
}

export function requiredBoolean(parent: JsonObject, member: string): boolean {
  const value = parent[member];
  if (typeof value !== 'boolean') throw invalid(member, 'must be true or false');
  return value;
}

/** Compares without regard to case, as Newtonsoft.Json does, and answers in the specification's casing. */
export function optionalEnum<Value extends string>(
  parent: JsonObject,
  member: string,
  values: readonly Value[],
): Value | undefined {
  const value = present(parent[member]);
  if (value === undefined) return undefined;
  const wanted = typeof value === 'string' ? value.toLowerCase() : undefined;
  const found = values.find((candidate) => candidate.toLowerCase() === wanted);
  if (found === undefined) throw invalid(member, `must be one of ${values.join(', ')}`);
  return found;
}

export function invalid(member: string, expectation: string): ServiceError {
  return new ServiceError('invalidArgument', `'${member}' ${expectation}.`);
}

function isTooDeep(body: Buffer): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < body.length; index += 1) {
    const byte = body[index] ?? 0;
    if (inString) {
      if (byte === BACKSLASH) index += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (BRACKETS_OPEN.has(byte)) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) return true;
    } else if (BRACKETS_CLOSE.has(byte)) depth -= 1;
  }
  return false;
}
