import type { IncomingMessage } from 'node:http';

/** The real host's default, and the setting that changes it. */
const maxBodyByDefault = 104_857_600;
const limitSetting = 'FUNCTIONS_REQUEST_BODY_SIZE_LIMIT';

export class BodyTooLargeError extends Error {
  constructor(maxBodyInBytes: number) {
    super(`The request body is larger than ${maxBodyInBytes} bytes.`);
    this.name = 'BodyTooLargeError';
  }
}

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const maxBodyInBytes = Number(process.env[limitSetting]) || maxBodyByDefault;
  if (Number(request.headers['content-length'] ?? 0) > maxBodyInBytes) {
    throw new BodyTooLargeError(maxBodyInBytes);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyInBytes) {
      throw new BodyTooLargeError(maxBodyInBytes);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
