import {
  AlreadyExistsError,
  DeviceProvisioningError,
  type DeviceProvisioningErrorDetails,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  PreconditionFailedError,
  ThrottledError,
  UnauthorizedError,
  UnavailableError,
} from './errors.ts';

type ErrorClass = new (message: string, details: DeviceProvisioningErrorDetails) => DeviceProvisioningError;

/** What an HTTP status means to the caller of this client. */
export interface StatusMeaning {
  readonly errorClass: ErrorClass;
  /** In a few words, for when the service says nothing. */
  readonly title: string;
  /** The last sentence of the message. */
  readonly advice: string;
}

const unavailableAdvice =
  'The service is in trouble; try again later. Whether a write was carried out is not known, so read before writing again.';

const meanings: Readonly<Record<number, StatusMeaning>> = {
  400: {
    errorClass: InvalidRequestError,
    title: 'Bad request',
    advice:
      'The request does not fit what DPS expects; correct it by what the service says, as a retry will not help.',
  },
  401: {
    errorClass: UnauthorizedError,
    title: 'Unauthorized',
    advice:
      "Check the policy's name and key or the credential, that they belong to this instance, and this machine's clock.",
  },
  403: {
    errorClass: ForbiddenError,
    title: 'Forbidden',
    advice:
      'Give the identity the role "Device Provisioning Service Data Contributor" (or Data Reader, to read), or the policy the right that this operation needs.',
  },
  404: {
    errorClass: NotFoundError,
    title: 'Not found',
    advice: 'Check the id, and that the endpoint is that of the right instance.',
  },
  405: {
    errorClass: InvalidRequestError,
    title: 'Method not allowed',
    advice: 'Check that no id is missing, and that the endpoint is the service endpoint of a DPS instance.',
  },
  408: { errorClass: UnavailableError, title: 'Request timeout', advice: unavailableAdvice },
  409: {
    errorClass: AlreadyExistsError,
    title: 'Already exists',
    advice:
      'Without ifMatch records are only created: to replace it pass its etag as ifMatch, or "*" for any version.',
  },
  412: {
    errorClass: PreconditionFailedError,
    title: 'Precondition failed',
    advice:
      'The record was changed since its etag was read: read it again, decide again, and send its new etag.',
  },
  429: {
    errorClass: ThrottledError,
    title: 'Too many requests',
    advice:
      'Wait for retryAfterInMs if it is there, and spread the calls: an instance takes 1,000 operations a minute.',
  },
};

/** Other 4xx come from proxies and firewalls: they say nothing about the request. */
const faultsOfTheRequest: ReadonlySet<number> = new Set([406, 411, 413, 414, 415, 422, 431]);

/** The error class, title and advice of an HTTP status. */
export function meaningOf(statusCode: number): StatusMeaning {
  const known = meanings[statusCode];
  if (known) {
    return known;
  }
  if (statusCode >= 500) {
    return { errorClass: UnavailableError, title: 'Service error', advice: unavailableAdvice };
  }
  if (faultsOfTheRequest.has(statusCode)) {
    return {
      errorClass: InvalidRequestError,
      title: 'Refused',
      advice: 'A retry will not help; correct the request.',
    };
  }
  return {
    errorClass: DeviceProvisioningError,
    title: 'Unexpected answer',
    advice:
      'Check that the endpoint is the service endpoint of a DPS instance, without a proxy that redirects.',
  };
}
