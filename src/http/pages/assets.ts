import { readFile } from 'node:fs/promises';

import type { HttpResponse } from '../http-response.ts';
import { iconFile } from './icons.ts';

/** Beside this file, and beside the bundle. */
const folder = new URL('./assets/', import.meta.url);
const types: Readonly<Record<string, string>> = {
  'fleet.css': 'text/css; charset=utf-8',
  'fleet.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

const read = new Map<string, Promise<string>>();

/** What pages load; there is nothing secret in it, so everybody may. */
export async function asset(name: string): Promise<HttpResponse | undefined> {
  const type = Object.hasOwn(types, name) ? types[name] : undefined;
  if (type === undefined) {
    return undefined;
  }
  const text =
    read.get(name) ??
    (name === 'icon.svg' ? Promise.resolve(iconFile) : readFile(new URL(name, folder), 'utf8'));
  read.set(name, text);
  return {
    status: 200,
    headers: {
      'content-type': type,
      'cache-control': 'public, max-age=300',
      'x-content-type-options': 'nosniff',
    },
    body: await text,
  };
}
