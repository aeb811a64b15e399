/**
 * Where a row of the table comes from. `observed`: seen in traffic, live tests or users' reports. `documented`: stated by
 * Microsoft. `code guessed`: the status is known, the six digits and the text are ours. `chosen`: not established; the
 * reading that is harder on clients. The last two are listed in the README.
 */
type Evidence = 'observed' | 'documented' | 'code guessed' | 'chosen';

interface ErrorRow {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly evidence: Evidence;
}

/** Every error the emulator answers with. The first three digits of a code are its HTTP status. */
export const serviceErrors = {
  invalidArgument: {
    status: 400,
    code: 400004,
    message: 'The request is invalid.',
    evidence: 'code guessed',
  },
  unsupportedApiVersion: {
    status: 400,
    code: 400004,
    message: 'The api-version is missing or not supported.',
    evidence: 'chosen',
  },
  invalidEtag: { status: 400, code: 400004, message: 'ETag is invalid', evidence: 'code guessed' },
  unauthorized: { status: 401, code: 401000, message: 'Unauthorized', evidence: 'observed' },
  invalidCertificate: { status: 401, code: 401002, message: 'Invalid certificate.', evidence: 'observed' },
  unauthorizedDevice: { status: 401, code: 401002, message: 'Unauthorized access', evidence: 'observed' },
  forbidden: {
    status: 403,
    code: 403000,
    message: 'The policy or role lacks the right for this operation.',
    evidence: 'code guessed',
  },
  foreignPage: {
    status: 403,
    code: 403000,
    message: 'The emulator answers to this machine only, and not to pages of other sites.',
    evidence: 'chosen',
  },
  limitReached: {
    status: 403,
    code: 403001,
    message: 'The service holds as many of these as it can.',
    evidence: 'chosen',
  },
  unknownRoute: { status: 404, code: 404000, message: 'Resource not found.', evidence: 'code guessed' },
  enrollmentNotFound: { status: 404, code: 404201, message: 'Enrollment not found.', evidence: 'observed' },
  registrationNotFound: {
    status: 404,
    code: 404202,
    message: 'Registration not found.',
    evidence: 'code guessed',
  },
  operationNotFound: { status: 404, code: 404203, message: 'Operation not found.', evidence: 'chosen' },
  groupNotFound: { status: 404, code: 404204, message: 'EnrollmentGroup not found.', evidence: 'observed' },
  methodNotAllowed: {
    status: 405,
    code: 405000,
    message: 'The method is not allowed here.',
    evidence: 'documented',
  },
  enrollmentExists: {
    status: 409,
    code: 409201,
    message: 'Enrollment already exists.',
    evidence: 'observed',
  },
  groupExists: {
    status: 409,
    code: 409202,
    message: 'EnrollmentGroup already exists.',
    evidence: 'observed',
  },
  preconditionFailed: {
    status: 412,
    code: 412001,
    message: 'ETag in the request does not match the one of the resource.',
    evidence: 'code guessed',
  },
  bodyTooLarge: { status: 413, code: 413001, message: 'The request is too large.', evidence: 'chosen' },
  unsupportedMediaType: {
    status: 415,
    code: 415000,
    message: 'The content type is not supported; send application/json.',
    evidence: 'code guessed',
  },
  throttled: {
    status: 429,
    code: 429001,
    message: 'Operations are being throttled for this tenant.',
    evidence: 'observed',
  },
  internal: {
    status: 500,
    code: 500000,
    message: 'Internal error of the emulator.',
    evidence: 'code guessed',
  },
} as const satisfies Record<string, ErrorRow>;

/** Why a registration ends as `failed`: no HTTP errors, but `errorCode` and `errorMessage` of the registration state. */
export const registrationFailures = {
  customAllocation: { code: 400207, message: 'Custom allocation failed', evidence: 'observed' },
  noHub: { code: 400208, message: 'No IoT hub is linked that the enrollment allows.', evidence: 'chosen' },
  severalHubs: {
    code: 400209,
    message: 'The allocation policy static needs exactly one IoT hub.',
    evidence: 'chosen',
  },
} as const satisfies Record<string, { code: number; message: string; evidence: Evidence }>;

export type ServiceErrorName = keyof typeof serviceErrors;

/** What ends an operation with an error answer. Its message may quote names from the request, never a secret. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly status: number;
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(name: ServiceErrorName, detail?: string, headers: Readonly<Record<string, string>> = {}) {
    const row = serviceErrors[name];
    super(detail ?? row.message);
    this.status = row.status;
    this.code = row.code;
    this.headers = headers;
  }
}
