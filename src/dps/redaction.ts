const SECRET_PATTERNS: readonly [RegExp, string][] = [
  [/SharedAccessSignature\s+[^\s"',;]+/gi, 'SharedAccessSignature [redacted]'],
  [/Bearer\s+[A-Za-z0-9._~+/=-]+/gi, 'Bearer [redacted]'],
  [/(SharedAccessKey\s*=\s*)[A-Za-z0-9+/=]+/gi, '$1[redacted]'],
  [/(\bsig=)[^\s"'&,;]+/gi, '$1[redacted]'],
  // A webhook's function key travels in the query of its URL.
  [/(https?:\/\/[^\s"'?]+\?)[^\s"']+/gi, '$1[redacted]'],
];

const SENT_KEYS = /"(?:primaryKey|secondaryKey)":"([^"]+)"/g;

/**
 * Takes keys, tokens and URL queries out of what a service or a proxy said, before it becomes part of an
 * error. `sentBody` is the request, for services that repeat what they do not like.
 */
export function redact(text: string, sentBody?: string): string {
  let result = text;
  for (const [pattern, replacement] of SECRET_PATTERNS) {
    result = result.replace(pattern, replacement);
  }
  for (const [, key] of sentBody?.matchAll(SENT_KEYS) ?? []) {
    result = key ? result.replaceAll(key, '[redacted]') : result;
  }
  return result;
}
