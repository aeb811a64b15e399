import type { IncomingMessage } from 'node:http';

/** So many times the limit is read, so that the client gets to see the response. */
const limitsReadAtMost = 64;

/**
 * Reads a body.
 * @returns undefined if it is longer than `limit` bytes. Never settles if the client goes away: nobody waits then.
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
      } else {
        chunks.length = 0;
      }
      if (size > limit * limitsReadAtMost) {
        request.destroy();
      }
    });
    request.on('end', () => resolve(size > limit ? undefined : joined(chunks)));
    request.on('error', () => request.destroy());
  });
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks;
  return only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks);
}
