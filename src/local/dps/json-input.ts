import { isUtf8 } from 'node:buffer';
import { ServiceError } from './errors.ts';
import { maxJsonDepth } from './limits.ts';

export type JsonObject = { readonly [member: string]: unknown };

/**
 * Parses a request body that must be a JSON object.
 * @throws ServiceError `invalidArgument`
 */
export function parseJsonObject(body: Buffer): JsonObject {
  const text = isUtf8(body) ? body.toString('utf8') : undefined;
  if (text === undefined) {
    throw new ServiceError('invalidArgument', 'The body is not UTF-8.');
  }
  if (isTooDeep(text)) {
    throw new ServiceError('invalidArgument', `The body is nested deeper than ${maxJsonDepth} levels.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ServiceError('invalidArgument', 'The body is not valid JSON.');
  }
  if (!isObject(value)) {
    throw new ServiceError('invalidArgument', 'The body must be a JSON object.');
  }
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
  if (value === undefined || isObject(value)) {
    return value;
  }
  throw invalid(member, 'must be an object');
}

export function optionalString(parent: JsonObject, member: string): string | undefined {
  const value = present(parent[member]);
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== 'string' || value === '') {
    throw invalid(member, 'must be a non-empty string');
  }
  return value;
}

export function requiredString(parent: JsonObject, member: string): string {
  const value = optionalString(parent, member);
  if (value === undefined) {
    throw invalid(member, 'is required');
  }
  return value;
}

export function requiredBoolean(parent: JsonObject, member: string): boolean {
  const value = parent[member];
  if (typeof value !== 'boolean') {
    throw invalid(member, 'must be true or false');
  }
  return value;
}

/** Compares without regard to case, as Newtonsoft.Json does, and answers in the specification's casing. */
export function optionalEnum<Value extends string>(
  parent: JsonObject,
  member: string,
  values: readonly Value[],
): Value | undefined {
  const value = present(parent[member]);
  if (value === undefined) {
    return undefined;
  }
  const wanted = typeof value === 'string' ? value.toLowerCase() : undefined;
  const found = values.find((candidate) => candidate.toLowerCase() === wanted);
  if (found === undefined) {
    throw invalid(member, `must be one of ${values.join(', ')}`);
  }
  return found;
}

export function invalid(member: string, expectation: string): ServiceError {
  return new ServiceError('invalidArgument', `'${member}' ${expectation}.`);
}

/** Few bodies have brackets enough to be too deep; only those are read closely. */
function isTooDeep(text: string): boolean {
  let opened = 0;
  for (const bracket of ['{', '[']) {
    for (
      let at = text.indexOf(bracket);
      at >= 0 && opened <= maxJsonDepth;
      at = text.indexOf(bracket, at + 1)
    ) {
      opened += 1;
    }
  }
  return opened > maxJsonDepth && depthOf(text) > maxJsonDepth;
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{}]/gs)) {
    if (token === '{' || token === '[') {
      depth += 1;
    } else if (token === '}' || token === ']') {
      depth -= 1;
    }
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
