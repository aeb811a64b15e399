import { randomUUID } from 'node:crypto';
import type { EmulatorResponse } from '../responses.ts';

/** Errors of the IoT hub service API: name, HTTP status and text. Where the text is ours, the names and statuses are Azure's. */
const hubErrors = {
  InvalidProtocolVersion: [400, 'The api-version is missing or not supported.'],
  ArgumentInvalid: [400, 'The request is invalid.'],
  DeviceDefinedMultipleTimes: [400, 'A device occurs more than once.'],
  IotHubUnauthorized: [401, 'Unauthorized'],
  DeviceNotFound: [404, 'The device is not registered.'],
  ResourceNotFound: [404, 'Resource not found.'],
  MethodNotAllowed: [405, 'Method not allowed.'],
  DeviceAlreadyExists: [409, 'The device is already registered.'],
  PreconditionFailed: [412, 'Precondition failed: Device version did not match.'],
  TooManyDevices: [413, 'At most 100 devices per request.'],
  ThrottlingException: [
    429,
    'The request has been throttled. Wait 10 seconds and try again. Operation type: CRUD',
  ],
  ServerError: [500, 'Internal error of the emulator.'],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

export type HubErrorName = keyof typeof hubErrors;

export class HubError extends Error {
  readonly code: HubErrorName;
  readonly status: number;

  constructor(code: HubErrorName, message: string = hubErrors[code][1]) {
    super(message);
    this.code = code;
    this.status = hubErrors[code][0];
  }
}

/** Not the shape of DPS: `{"Message":"ErrorCode:Name;text","ExceptionMessage":"Tracking ID:…"}`. */
export function hubErrorResponse(error: unknown, now: number): EmulatorResponse {
  const known = error instanceof HubError ? error : new HubError('ServerError');
  if (known !== error) {
    console.error('The hub of the DPS emulator failed on a request:', error);
  }
  return refusal(known.status, known.code, known.message, now);
}

/** A fault that was asked for. */
export function hubFaultResponse(
  status: number,
  retryAfter: string | undefined,
  now: number,
): EmulatorResponse {
  const name = status === 429 ? 'ThrottlingException' : 'Fault';
  const response = refusal(status, name, 'A fault that was asked for.', now);
  return retryAfter === undefined
    ? response
    : { ...response, headers: { ...response.headers, 'Retry-After': retryAfter } };
}

function refusal(status: number, name: string, message: string, now: number): EmulatorResponse {
  const tracking = randomUUID().replaceAll('-', '');
  const body = {
    Message: `ErrorCode:${name};${message}`,
    ExceptionMessage: `Tracking ID:${tracking}-G:0-TimeStamp:${new Date(now).toISOString()}`,
  };
  return { status, text: JSON.stringify(body), headers: { 'iothub-errorcode': name } };
}
