import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { ServiceError } from './errors.ts';
import type { FaultRule } from './faults.ts';
import type { Answer } from './operations.ts';

const GARBAGE = '<html>\u0000 this is no JSON {"errorCode": ';

interface FaultContext {
  /** Runs the operation; its error is an answer, too. */
  run(): Promise<Answer>;
  send(answer: Answer): void;
  errorAnswer(error: ServiceError): Answer;
}

/** Lets a fault happen to a request. @returns the status that the client was sent, or `reset`. */
export async function runFault(
  fault: FaultRule,
  request: IncomingMessage,
  response: ServerResponse,
  context: FaultContext,
): Promise<number | 'reset'> {
  if (fault.latencyMs !== undefined) await delay(fault.latencyMs);
  if (fault.reset === 'before') return cut(request);
  const answer = fault.status === undefined ? await context.run() : refusal(fault, fault.status);
  if (fault.reset === 'after') return cut(request);
  if (fault.body === 'garbage') context.send({ ...answer, text: GARBAGE });
  else if (fault.body === 'truncated') return sendHalf(response, answer);
  else context.send(answer);
  return answer.status;
}

function cut(request: IncomingMessage): 'reset' {
  const { socket } = request;
  // A TLS connection cannot be reset, only dropped without its farewell.
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
  return 'reset';
}

function refusal({ errorCode, retryAfter }: FaultRule, status: number): Answer {
  const trackingId = randomUUID();
  const code = errorCode ?? status * 1000 + 1;
  const message = status === 429 ? new ServiceError('throttled').message : (STATUS_CODES[status] ?? 'Fault');
  return {
    status,
    text: JSON.stringify({ errorCode: code, trackingId, message, timestampUtc: new Date().toISOString() }),
    headers: {
      'x-ms-error-code': String(code),
      'x-ms-request-id': trackingId,
      ...(retryAfter === undefined ? {} : { 'Retry-After': retryAfter }),
    },
  };
}

/** Promises the whole body and sends half of it, then ends the connection. */
function sendHalf(response: ServerResponse, { status, text = '', headers }: Answer): number {
  const body = Buffer.from(text);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    ...headers,
    'Content-Length': String(Math.max(body.length, 2)),
  });
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
  return status;
}
