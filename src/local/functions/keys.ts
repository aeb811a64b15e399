import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface Keys {
  readonly function: string;
  readonly master: string;
}

/** May the request call a function of this level? The master key opens everything. */
export function isAuthorized(request: IncomingMessage, url: URL, level: string, keys: Keys): boolean {
  if (level === 'anonymous') {
    return true;
  }
  const header = request.headers['x-functions-key'];
  const given = typeof header === 'string' ? header : url.searchParams.get('code');
  if (given === null) {
    return false;
  }
  return isEqual(given, keys.master) || (level === 'function' && isEqual(given, keys.function));
}

function isEqual(given: string, key: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(key)];
  return a.length === b.length && timingSafeEqual(a, b);
}
