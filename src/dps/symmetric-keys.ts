/** DPS takes keys of 16 to 64 bytes, and generates 64. */
const minBytes = 16;
const maxBytes = 64;

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Says what is wrong with a symmetric key, or `undefined` if DPS would take it: base64 of 16 to 64 bytes.
 * The sentence never holds the key.
 */
export function symmetricKeyProblem(key: string): string | undefined {
  if (key.length === 0) {
    return 'The key is empty; leave it out to let DPS generate one.';
  }
  if (!base64.test(key)) {
    return 'The key is not base64 (letters, digits, + and /, padded with = to a multiple of four).';
  }
  const bytes = Buffer.byteLength(key, 'base64');
  if (bytes < minBytes || bytes > maxBytes) {
    return `The key holds ${bytes} bytes; DPS takes ${minBytes} to ${maxBytes}.`;
  }
  return undefined;
}
