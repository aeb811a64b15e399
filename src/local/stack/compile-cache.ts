import path from 'node:path';

const directory = path.resolve(import.meta.dirname, '../../../node_modules/.cache/node-compile');

/** Has a child process keep what V8 compiled, which makes the next start faster. The user's own setting wins. */
export function compileCacheSettings(): Record<string, string> {
  return process.env.NODE_COMPILE_CACHE === undefined ? { NODE_COMPILE_CACHE: directory } : {};
}
