import { randomUUID } from 'node:crypto';
import { ServiceError } from './errors.ts';

/** What a request is answered with, before a transport puts it into its own form. */
export interface EmulatorResponse {
  readonly status: number;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How a transport takes an answer back to the client. */
export interface ReplyChannel {
  send(response: EmulatorResponse): void;
  /** Promises the whole body and sends half of it, then ends the connection. */
  sendHalf(response: EmulatorResponse): void;
  /** Drops the connection without an answer. */
  cut(): void;
}

/** The error body of both APIs. An error that is none of the service's is a defect of the emulator. */
export function errorResponse(error: unknown, timestampUtc: string): EmulatorResponse {
  const known = error instanceof ServiceError ? error : new ServiceError('internal');
  if (known !== error) {
    console.error('The DPS emulator failed on a request:', error);
  }
  const trackingId = randomUUID();
  return {
    status: known.status,
    text: JSON.stringify({ errorCode: known.code, trackingId, message: known.message, timestampUtc }),
    headers: { ...known.headers, 'x-ms-error-code': String(known.code), 'x-ms-request-id': trackingId },
  };
}
