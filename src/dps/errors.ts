/** What every error of this client knows about the call that failed. */
export interface DeviceProvisioningErrorDetails {
  /** The method that was called, as `individualEnrollments.get`. */
  operation: string;
  /** The registration id or enrollment group id, where the call has one. */
  id?: string | undefined;
  /** The HTTP status; absent where no answer came. */
  statusCode?: number | undefined;
  /** DPS's six digits; the first three are the HTTP status. */
  errorCode?: number | undefined;
  /** What Microsoft's support asks for. */
  trackingId?: string | undefined;
  /** What else the service said, as it said it. */
  info?: Readonly<Record<string, string>> | undefined;
  /** How long the service asks to wait, in milliseconds. */
  retryAfterInMs?: number | undefined;
  cause?: unknown;
}

/**
 * The base of all errors of this client. The message says what happened, and ends with what to do. It
 * never holds a key or a token.
 */
export class DeviceProvisioningError extends Error {
  override readonly name: string = 'DeviceProvisioningError';
  readonly operation: string;
  readonly id: string | undefined;
  readonly statusCode: number | undefined;
  readonly errorCode: number | undefined;
  readonly trackingId: string | undefined;
  readonly info: Readonly<Record<string, string>> | undefined;
  readonly retryAfterInMs: number | undefined;

  constructor(message: string, details: DeviceProvisioningErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.operation = details.operation;
    this.id = details.id;
    this.statusCode = details.statusCode;
    this.errorCode = details.errorCode;
    this.trackingId = details.trackingId;
    this.info = details.info;
    this.retryAfterInMs = details.retryAfterInMs;
  }
}

/** 404: no such enrollment, group or registration. */
export class NotFoundError extends DeviceProvisioningError {
  override readonly name = 'NotFoundError';
}

/** 409: the id is taken. A PUT without `ifMatch` only creates. */
export class AlreadyExistsError extends DeviceProvisioningError {
  override readonly name = 'AlreadyExistsError';
}

/** 412: the record changed since its etag was read. */
export class PreconditionFailedError extends DeviceProvisioningError {
  override readonly name = 'PreconditionFailedError';
}

/** 429: more operations than the instance's quota, and the retries are used up. See `retryAfterInMs`. */
export class ThrottledError extends DeviceProvisioningError {
  override readonly name = 'ThrottledError';
}

/** 401, or the credential gave no token. */
export class UnauthorizedError extends DeviceProvisioningError {
  override readonly name = 'UnauthorizedError';
}

/** 403: known, but not allowed. */
export class ForbiddenError extends DeviceProvisioningError {
  override readonly name = 'ForbiddenError';
}

/** 400, 405, 413, 415, …: the request itself is at fault; or this client refused to send it (no `statusCode`). */
export class InvalidRequestError extends DeviceProvisioningError {
  override readonly name = 'InvalidRequestError';
}

/**
 * 5xx, 408, an answer that cannot be read, or no answer at all (then without `statusCode`, and `cause`
 * says why). Whether a write was carried out is not known.
 */
export class UnavailableError extends DeviceProvisioningError {
  override readonly name = 'UnavailableError';
}
