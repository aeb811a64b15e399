import { type DeviceProvisioningError, UnavailableError } from './errors.ts';
import type { HttpResponse } from './http-exchange.ts';
import { codeOf, networkFailureOf } from './network-failure.ts';
import { isRetriedStatus, mayHaveBeenCarriedOut, parseRetryAfter } from './retry-policy.ts';
import type { ResponseShape, ServiceCall, ServiceResponse } from './service-call.ts';
import { clientClosed, errorOfGarbage, errorOfResponse, refusal, subjectOf } from './service-error.ts';

/** One attempt that did not succeed, and what it means for the next. */
export interface FailedAttempt {
  readonly error: DeviceProvisioningError;
  readonly retried: boolean;
  readonly mayHaveBeenCarriedOut: boolean;
  readonly failureCode: string | undefined;
}

export function isFailed(outcome: object): outcome is FailedAttempt {
  return 'error' in outcome;
}

/** The service answered with a status that is no success. */
export function refused(call: ServiceCall, response: HttpResponse, now: number): FailedAttempt {
  const retryAfterInMs = parseRetryAfter(response.header('retry-after'), response.header('date'), now);
  return {
    error: errorOfResponse(call, response, retryAfterInMs),
    retried: isRetriedStatus(response.statusCode),
    mayHaveBeenCarriedOut: mayHaveBeenCarriedOut(response.statusCode),
    failureCode: undefined,
  };
}

/**
 * No answer came.
 *
 * @throws what has nothing to do with the network: the caller gave up, or nothing could be sent.
 */
export function unanswered(call: ServiceCall, error: unknown): FailedAttempt {
  if (call.options.abortSignal?.aborted) {
    throw call.options.abortSignal.reason;
  }
  const code = codeOf(error);
  if (code === 'UND_ERR_INVALID_ARG') {
    throw refusal(call, 'an etag, continuation token or id holds characters that no HTTP header can carry.');
  }
  if (code === 'UND_ERR_CLOSED' || code === 'UND_ERR_DESTROYED') {
    throw clientClosed(call);
  }
  const failure = networkFailureOf(error);
  return {
    error: new UnavailableError(`${subjectOf(call)} failed: ${failure.code}. ${failure.explanation}`, {
      operation: call.operation,
      id: call.id,
      cause: error,
    }),
    retried: failure.retried,
    mayHaveBeenCarriedOut: failure.mayHaveBeenCarriedOut,
    failureCode: failure.code,
  };
}

/** A success whose body cannot be read is a lost answer. */
export function readResponse(
  call: ServiceCall,
  response: HttpResponse,
  afterLostResponse: boolean,
): ServiceResponse | FailedAttempt {
  if (call.answers === 'nothing') {
    return { body: undefined, afterLostResponse };
  }
  let body: unknown;
  try {
    body = JSON.parse(response.text);
  } catch {
    // The parser's error quotes the body, which may hold keys.
    return garbage(call, response);
  }
  if (!hasShape(body, call.answers)) {
    return garbage(call, response);
  }
  return { body, continuation: response.header('x-ms-continuation'), afterLostResponse };
}

function hasShape(body: unknown, shape: ResponseShape): boolean {
  if (typeof body !== 'object' || body === null || Array.isArray(body) !== (shape === 'array')) {
    return false;
  }
  if (shape !== 'bulk result') {
    return true;
  }
  const { isSuccessful, errors } = body as { isSuccessful?: unknown; errors?: unknown };
  return typeof isSuccessful === 'boolean' && (errors === undefined || Array.isArray(errors));
}

function garbage(call: ServiceCall, response: HttpResponse): FailedAttempt {
  return {
    error: errorOfGarbage(call, response),
    retried: true,
    mayHaveBeenCarriedOut: true,
    failureCode: 'GARBAGE',
  };
}
