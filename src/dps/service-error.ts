import { meaningOf } from './error-advice.ts';
import {
  DeviceProvisioningError,
  type DeviceProvisioningErrorDetails,
  InvalidRequestError,
  UnavailableError,
} from './errors.ts';
import type { HttpResponse } from './http-exchange.ts';
import { redact } from './redaction.ts';

const maxTrackingId = 128;

/** What an error needs to know of its call. */
export interface FailedCall {
  readonly operation: string;
  readonly id?: string | undefined;
  readonly body?: string | undefined;
}

/** The error for an answer that is not a success. */
export function errorOfResponse(
  call: FailedCall,
  response: HttpResponse,
  retryAfterInMs: number | undefined,
): DeviceProvisioningError {
  const said = parseErrorBody(response.text);
  const meaning = meaningOf(response.statusCode);
  const details: DeviceProvisioningErrorDetails = {
    operation: call.operation,
    id: call.id,
    statusCode: response.statusCode,
    errorCode: said.errorCode,
    trackingId: safeTrackingId(said.trackingId || response.header('x-ms-request-id'), call.body),
    info: redactInfo(said.info, call.body),
    retryAfterInMs,
  };
  const text = redact(said.message ?? meaning.title, call.body);
  const message = `${subjectOf(call)} failed: ${response.statusCode} ${codeOf(details)}${sentence(text)} ${meaning.advice}`;
  return new meaning.errorClass(message, details);
}

/** The error for a 2xx answer that is not what the operation answers with. */
export function errorOfGarbage(call: FailedCall, response: HttpResponse): UnavailableError {
  return new UnavailableError(
    `${subjectOf(call)} failed: the service answered ${response.statusCode} with a body that is not what DPS answers. ` +
      'Something between here and DPS may have answered, or broken the answer off; try again, and read before writing again.',
    {
      operation: call.operation,
      id: call.id,
      statusCode: response.statusCode,
      trackingId: safeTrackingId(response.header('x-ms-request-id'), call.body),
    },
  );
}

/** The error for one item of a bulk operation. */
export function errorOfBulkItem(
  call: FailedCall,
  errorCode: number,
  errorStatus: string,
): DeviceProvisioningError {
  const statusCode = Math.floor(errorCode / 1000);
  const meaning = meaningOf(statusCode);
  const details = { operation: call.operation, id: call.id, statusCode, errorCode };
  const text = redact(errorStatus, call.body) || meaning.title;
  return new meaning.errorClass(
    `${subjectOf(call)} failed: ${statusCode} ${codeOf(details)}${sentence(text)} ${meaning.advice}`,
    details,
  );
}

/** The error for a request that this client does not send. */
export function refusal(call: FailedCall, why: string): InvalidRequestError {
  return new InvalidRequestError(`${subjectOf(call)} was not sent: ${why}`, {
    operation: call.operation,
    id: call.id,
  });
}

/** The error for a call of a client that was closed: nobody's request is at fault. */
export function clientClosed(call: FailedCall): DeviceProvisioningError {
  return new DeviceProvisioningError(
    `${subjectOf(call)} was not sent: the client was closed. Make a new one.`,
    { operation: call.operation, id: call.id },
  );
}

/** `individualEnrollments.get of "dev-1"` */
export function subjectOf(call: FailedCall): string {
  return call.id === undefined ? call.operation : `${call.operation} of "${call.id}"`;
}

function codeOf(details: DeviceProvisioningErrorDetails): string {
  const parts = [];
  if (details.errorCode !== undefined) {
    parts.push(`error code ${details.errorCode}`);
  }
  if (details.trackingId) {
    parts.push(`tracking id ${details.trackingId}`);
  }
  return parts.length === 0 ? '' : `(${parts.join(', ')}) `;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

interface ErrorBody {
  errorCode?: number;
  trackingId?: string;
  message?: string;
  info?: Record<string, string>;
}

/** Reads what of the service's error shape is there; a proxy's HTML page gives nothing. */
function parseErrorBody(text: string): ErrorBody {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof body !== 'object' || body === null) {
    return {};
  }
  const { errorCode, trackingId, message, info } = body as Record<string, unknown>;
  return {
    ...(typeof errorCode === 'number' && { errorCode }),
    ...(typeof trackingId === 'string' && { trackingId }),
    ...(typeof message === 'string' && message !== '' && { message }),
    ...(isStringMap(info) && { info }),
  };
}

/** A proxy may put anything there; the service's are UUIDs. */
function safeTrackingId(trackingId: string | undefined, body: string | undefined): string | undefined {
  return trackingId === undefined ? undefined : redact(trackingId, body).slice(0, maxTrackingId);
}

function isStringMap(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' && value !== null && Object.values(value).every((v) => typeof v === 'string')
  );
}

function redactInfo(info: Record<string, string> | undefined, body: string | undefined) {
  if (!info) {
    return undefined;
  }
  return Object.fromEntries(Object.entries(info).map(([name, value]) => [name, redact(value, body)]));
}
