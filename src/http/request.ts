/** What a route gets to see of a request. Header names are in lower case. */
export interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
  readonly query: { get(name: string): string | null };
  readonly params: Readonly<Record<string, string>>;
  body(): Promise<Uint8Array>;
}

export type Representation = 'json' | 'html' | 'csv';

const mediaTypes: readonly [string, Representation][] = [
  ['application/json', 'json'],
  ['text/html', 'html'],
  ['text/csv', 'csv'],
];

/**
 * The representation that `?format=` or else `Accept` asks for, of those offered; the first where everything will do.
 * Undefined: none of them is acceptable.
 */
export function preferredRepresentation(
  request: Pick<Request, 'headers' | 'query'>,
  offered: readonly Representation[],
): Representation | undefined {
  const format = request.query.get('format');
  if (format !== null && format !== '') {
    return offered.find((each) => each === format.toLowerCase());
  }
  const accept = request.headers.get('accept');
  if (accept === null || accept.trim() === '') {
    return offered[0];
  }
  let best:
    | { readonly representation: Representation; readonly q: number; readonly precision: number }
    | undefined;
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = Number(parameters.find((each) => each.startsWith('q='))?.slice(2) ?? 1);
    const fits = offered.find((each) => covers(type, each));
    if (fits === undefined || !(q > 0)) {
      continue;
    }
    const precision = type === '*/*' ? 0 : type.endsWith('/*') ? 1 : 2;
    if (!best || q > best.q || (q === best.q && precision > best.precision)) {
      best = { representation: fits, q, precision };
    }
  }
  return best?.representation;
}

function covers(range: string, representation: Representation): boolean {
  if (range === '*/*') {
    return true;
  }
  const type = mediaTypes.find(([, each]) => each === representation)?.[0] ?? '';
  return range === type || range === `${type.split('/')[0]}/*`;
}

/** Where this app answers from, as the caller sees it. */
export function originOf(request: Pick<Request, 'url'>): string {
  return new URL(request.url).origin;
}
