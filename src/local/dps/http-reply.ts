import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { EmulatorResponse, ReplyChannel } from './responses.ts';

const strictTransport = { 'Strict-Transport-Security': 'max-age=31536000; includeSubDomains' };
const jsonHeaders = { 'Content-Type': 'application/json; charset=utf-8', ...strictTransport };

/** Answers over HTTP. */
export function httpReply(request: IncomingMessage, response: ServerResponse): ReplyChannel {
  return {
    send: (answer) => send(response, answer),
    sendHalf: (answer) => sendHalf(response, answer),
    cut: () => cut(request),
  };
}

function send(response: ServerResponse, { status, text, headers }: EmulatorResponse): void {
  if (response.destroyed || response.headersSent) {
    return;
  }
  // No Content-Length: the service answers in chunks, too.
  response.writeHead(
    status,
    text === undefined ? { ...strictTransport, ...headers } : { ...jsonHeaders, ...headers },
  );
  response.end(text);
}

function sendHalf(response: ServerResponse, { status, text = '', headers }: EmulatorResponse): void {
  const body = Buffer.from(text);
  response.writeHead(status, {
    ...jsonHeaders,
    ...headers,
    'Content-Length': String(Math.max(body.length, 2)),
  });
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
}

function cut({ socket }: IncomingMessage): void {
  // A TLS connection cannot be reset, only dropped without its farewell.
  if (socket instanceof TLSSocket) {
    socket.destroy();
  } else {
    socket.resetAndDestroy();
  }
}
