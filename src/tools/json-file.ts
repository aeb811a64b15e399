import { readFileSync } from 'node:fs';
import { decodeJson } from '../events/decode-json.ts';

/** A file that a setting names, with or without a byte order mark. What is wrong with it is thrown as `Wrong`, in a line. */
export function readJsonFile(
  file: string,
  Wrong: new (message: string, options?: ErrorOptions) => Error,
): unknown {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new Wrong(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  const decoded = decodeJson(bytes);
  if (decoded.problem) {
    const { pointer, detail } = decoded.problem;
    throw new Wrong(`${file} cannot be read as JSON${pointer === '' ? '' : ` at ${pointer}`}: ${detail}`);
  }
  return decoded.value;
}
