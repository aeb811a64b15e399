import type { IncomingMessage } from 'node:http';

/** The real host's default limit. */
const maxBodyInBytes = 104_857_600;

export class BodyTooLargeError extends Error {
  constructor() {
    super(`The request body is larger than ${maxBodyInBytes} bytes.`);
    this.name = 'BodyTooLargeError';
  }
}

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyInBytes) throw new BodyTooLargeError();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyInBytes) throw new BodyTooLargeError();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
