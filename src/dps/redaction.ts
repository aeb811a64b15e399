const secretPatterns: readonly [RegExp, string][] = [
  [/SharedAccessSignature\s+[^\s"',;]+/gi, 'SharedAccessSignature [redacted]'],
  [/Bearer\s+[A-Za-z0-9._~+/=-]+/gi, 'Bearer [redacted]'],
  [/(SharedAccessKey\s*=\s*)[A-Za-z0-9+/=]+/gi, '$1[redacted]'],
  [/(\bsig=)[^\s"'&,;]+/gi, '$1[redacted]'],
  // A webhook's function key travels in the query of its URL.
  [/(https?:\/\/[^\s"'?]+\?)[^\s"']+/gi, '$1[redacted]'],
];

const sentKeys = /"(?:primaryKey|secondaryKey)":"([^"]+)"/g;
/** So many characters of a key in a row are no chance. Fewer tell nobody anything. */
const tellingLength = 8;
const redactedText = '[redacted]';

/**
 * Takes keys, tokens and URL queries out of what a service or a proxy said, before it becomes part of an
 * error. `sentBody` is the request, for services that repeat what they do not like: whole or in part, in base64,
 * base64url, hex or percent-encoded.
 */
export function redact(text: string, sentBody?: string): string {
  let result = text;
  for (const [pattern, replacement] of secretPatterns) {
    result = result.replace(pattern, replacement);
  }
  for (const [, key] of sentBody?.matchAll(sentKeys) ?? []) {
    result = key ? withoutKey(result, key) : result;
  }
  return result;
}

function withoutKey(text: string, key: string): string {
  return formsOf(key).reduce(withoutForm, text);
}

/** How a key may be written. The longest first, so that nothing of it is left behind. */
function formsOf(key: string): string[] {
  const bytes = Buffer.from(key, 'base64');
  const hex = bytes.toString('hex');
  const forms = [key, encodeURIComponent(key), bytes.toString('base64url'), hex, hex.toUpperCase()];
  return [...new Set(forms)].sort((left, right) => right.length - left.length);
}

/** Every run of the text that is a part of the form. Escapes of JSON and of URLs may have changed the case of hex digits. */
function withoutForm(text: string, form: string): string {
  const parts = new Set<string>();
  for (let start = 0; start + tellingLength <= form.length; start++) {
    parts.add(form.slice(start, start + tellingLength).toLowerCase());
  }
  const lower = text.toLowerCase();
  let result = '';
  let copied = 0;
  for (let at = 0; at + tellingLength <= text.length; at++) {
    if (!parts.has(lower.slice(at, at + tellingLength))) {
      continue;
    }
    let end = at + tellingLength;
    while (end < text.length && parts.has(lower.slice(end - tellingLength + 1, end + 1))) {
      end++;
    }
    result += `${text.slice(copied, at)}${redactedText}`;
    copied = end;
    at = end - 1;
  }
  return result + text.slice(copied);
}
