import { randomInt } from 'node:crypto';
import { ServiceError } from './errors.ts';

const region = '0800';
const quotedEtag = /^"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"$/;

/**
 * Makes etags in the service's form: base64 of a quoted Cosmos DB etag, `"xxxxxxxx-0000-RRRR-0000-TTTTTTTT0000"`, with the
 * time of the write in hex seconds. 52 characters, another one for every write.
 */
export function createEtags(now: () => number): () => string {
  let serial = randomInt(0x7fffffff);
  return () => {
    serial = (serial + 1) >>> 0;
    const seconds = Math.max(0, Math.floor(now() / 1000)) >>> 0;
    const raw = `"${hex8(serial)}-0000-${region}-0000-${hex8(seconds)}0000"`;
    return Buffer.from(raw, 'latin1').toString('base64');
  };
}

/** The etag as the service hands it to allocation webhooks: quoted, not base64. */
export function rawEtag(etag: string): string {
  return Buffer.from(etag, 'base64').toString('latin1');
}

/**
 * Reads an If-Match header or the `etag` of a bulk item; quotes around it are optional.
 * @returns `*`, an etag, or undefined if there is none.
 * @throws ServiceError `invalidEtag` for anything else.
 */
export function parseIfMatch(value: string | undefined): string | undefined {
  if (value === undefined) {
    return undefined;
  }
  const bare = /^"(.*)"$/.exec(value.trim())?.[1] ?? value.trim();
  if (bare === '*') {
    return bare;
  }
  if (!quotedEtag.test(rawEtag(bare)) || !/^[A-Za-z0-9+/]{51}=$/.test(bare)) {
    throw new ServiceError('invalidEtag');
  }
  return bare;
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
