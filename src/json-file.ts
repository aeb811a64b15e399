import { readFileSync } from 'node:fs';

/** A file that a setting names. What is wrong with it is thrown as `Wrong`, in a line. */
export function readJsonFile(
  file: string,
  Wrong: new (message: string, options: ErrorOptions) => Error,
): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new Wrong(`${file} cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
}
