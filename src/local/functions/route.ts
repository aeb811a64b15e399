/** Route templates as Azure Functions takes them: `devices/{id}/events/{key?}`, `files/{*path}`, `items/{id:int}`. */

export interface Route {
  readonly segments: readonly Segment[];
  /** Where two routes match, the one that sorts first is meant. */
  readonly precedence: string;
}

interface Segment {
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly kind: 'literal' | 'constrained' | 'parameter' | 'catch-all';
  readonly optional: boolean;
  readonly defaultValue: string | undefined;
}

const kinds: readonly Segment['kind'][] = ['literal', 'constrained', 'parameter', 'catch-all'];
const constraints: Readonly<Record<string, string>> = {
  int: '[+-]?\\d+',
  long: '[+-]?\\d+',
  guid: '[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}',
  bool: 'true|false',
  alpha: '[a-z]+',
  decimal: '[+-]?[\\d.]+',
  double: '[+-]?[\\d.]+',
};
/** `{name}`, `{*name}`, `{name:constraint}`, `{name=default}`, `{name?}`. */
const parameter = /\{(\*{0,2})([A-Za-z_][\w-]*)(?::([a-z]+))?(?:=([^{}]*))?(\?)?\}/g;

export function parseRoute(template: string): Route {
  const segments = template.split('/').filter(Boolean).map(parseSegment);
  return { segments, precedence: segments.map(({ kind }) => kinds.indexOf(kind)).join('') };
}

/** The parameters, if the path fits. */
export function matchRoute(route: Route, path: string): Record<string, string> | undefined {
  const parts = path.split('/').filter(Boolean).map(decode);
  const parameters: Record<string, string> = {};
  for (const segment of route.segments) {
    const value = segment.kind === 'catch-all' ? parts.splice(0).join('/') : parts.shift();
    if (value === undefined || value === '') {
      if (!segment.optional) {
        return undefined;
      }
      const [name] = segment.names;
      if (name !== undefined && segment.defaultValue !== undefined) {
        parameters[name] = segment.defaultValue;
      }
      continue;
    }
    const match = segment.pattern.exec(value);
    if (match === null) {
      return undefined;
    }
    for (const [i, name] of segment.names.entries()) {
      parameters[name] = match[i + 1] ?? '';
    }
  }
  return parts.length === 0 ? parameters : undefined;
}

function parseSegment(text: string): Segment {
  const names: string[] = [];
  let kind: Segment['kind'] = 'literal';
  let optional = false;
  let defaultValue: string | undefined;
  let pattern = '';
  let literalFrom = 0;
  for (const match of text.matchAll(parameter)) {
    const [whole, stars, name = '', constraint = '', byDefault, question] = match;
    pattern += escapeLiteral(text.slice(literalFrom, match.index));
    literalFrom = match.index + whole.length;
    names.push(name);
    if (stars) {
      kind = 'catch-all';
    } else {
      kind = constraints[constraint] === undefined ? 'parameter' : 'constrained';
    }
    optional = Boolean(stars || question) || byDefault !== undefined;
    defaultValue = byDefault;
    pattern += `(${constraints[constraint] ?? (stars ? '.*' : '[^/]+')})`;
  }
  pattern += escapeLiteral(text.slice(literalFrom));
  return { pattern: new RegExp(`^${pattern}$`, 'i'), names, kind, optional, defaultValue };
}

function escapeLiteral(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** An encoded slash stays encoded, as ASP.NET Core leaves it. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part.replace(/%(?=2f)/gi, '%25'));
  } catch {
    return part;
  }
}
