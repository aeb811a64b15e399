/** Fewer letters and digits in a row than this hold no key that DPS takes. */
const keyLength = 16;
/** 16 bytes in base64, without padding. */
const wholeKeyLength = 22;

/** What names a secret, wherever it stands. */
const secretMark =
  /PRIVATE KEY|SharedAccess|AccountKey|whsec_|Bearer |[?&;](?:sig|code|token|key|secret|password)=/i;
const uuid = /^(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
/** Characters that keys are written with, in base64, base64url, hex and percent-encoding. */
const keyLikeRun = /[A-Za-z0-9+/=_%-]{16,}/g;
/** `thermostat`, `Brno`, `SN`, `G2`, `000042`, `2026W47`: what people and ERPs make names of. */
const wordLike =
  /^(?:[A-Z]?[a-z]{1,24}|[A-Z]{1,12}|(?:[A-Z]{1,6}|[A-Z]?[a-z]{1,6})\d{1,12}|\d{1,24}|\d{1,8}[A-Za-z]{1,3}\d{0,4})$/;
const camelCase = /^[A-Z]?[a-z]{2,20}(?:[A-Z][a-z]{2,20}){1,4}$/;
/** Sixteen and more bytes in hex or as numbers, with something between them. */
const separatedBytes = /(?:[0-9a-f]{2}[\s:.-]){15}[0-9a-f]{2}|(?:\d{1,3}[\s,;]{1,3}){15}\d{1,3}/i;

/**
 * Whether a text may be, or hold, a key: evaluated by what it looks like, since a key can stand under any name. It is right
 * about keys and wrong about some other texts; that costs a replay, never a key.
 */
export function mayHoldSecret(text: string): boolean {
  if (text.length < 8) {
    return false;
  }
  if (secretMark.test(text) || separatedBytes.test(text) || isEncodedJson(text)) {
    return true;
  }
  if (text.length < keyLength || uuid.test(text)) {
    return false;
  }
  for (const [run] of text.matchAll(keyLikeRun)) {
    if (isKeyLike(run)) {
      return true;
    }
  }
  return false;
}

/** A name that may be told: one that looks like a key is not. */
export function shownName(name: string): string {
  return mayHoldSecret(name) ? '…' : clipped(name, 80);
}

/** A text of the event for a sentence of ours. */
export function quoted(text: string): string {
  return mayHoldSecret(text) ? '(not shown here: it looks like a key)' : clipped(text, 100);
}

function clipped(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length).toWellFormed()}…` : text;
}

/** JSON within a text: what is in there, nobody has looked at. */
function isEncodedJson(text: string): boolean {
  const first = text.trimStart()[0];
  return first === '{' || first === '[' || first === '"';
}

function isKeyLike(run: string): boolean {
  if (uuid.test(run)) {
    return false;
  }
  const pieces = run.split(/[^A-Za-z0-9]+/).filter((piece) => piece !== '');
  // A key without digits can look like words that are written together; a whole key is longer than such words are.
  const mayBeCamelCase = run.length < wholeKeyLength;
  const isWord = (piece: string) => wordLike.test(piece) || (mayBeCamelCase && camelCase.test(piece));
  return !pieces.every(isWord);
}
