import { isValidId } from './enrollment-kinds.ts';
import { ServiceError } from './errors.ts';

/** Operations, named as in the specification. */
export type OperationName =
  | 'IndividualEnrollment_Get'
  | 'IndividualEnrollment_CreateOrUpdate'
  | 'IndividualEnrollment_Delete'
  | 'IndividualEnrollment_Query'
  | 'IndividualEnrollment_GetAttestationMechanism'
  | 'IndividualEnrollment_RunBulkOperation'
  | 'EnrollmentGroup_Get'
  | 'EnrollmentGroup_CreateOrUpdate'
  | 'EnrollmentGroup_Delete'
  | 'EnrollmentGroup_Query'
  | 'EnrollmentGroup_GetAttestationMechanism'
  | 'EnrollmentGroup_RunBulkOperation'
  | 'DeviceRegistrationState_Get'
  | 'DeviceRegistrationState_Delete'
  | 'DeviceRegistrationState_Query'
  | 'RuntimeRegistration_RegisterDevice'
  | 'RuntimeRegistration_OperationStatusLookup'
  | 'RuntimeRegistration_DeviceRegistrationStatusLookup';

export interface Route {
  readonly operation: OperationName;
  /** Decoded; empty where the path has none. */
  readonly id: string;
  readonly idScope: string;
  readonly operationId: string;
}

type Methods = Readonly<Record<string, OperationName>>;

function enrollmentRoutes(resource: 'IndividualEnrollment' | 'EnrollmentGroup') {
  return {
    collection: { POST: `${resource}_RunBulkOperation` },
    query: { POST: `${resource}_Query` },
    item: { GET: `${resource}_Get`, PUT: `${resource}_CreateOrUpdate`, DELETE: `${resource}_Delete` },
    attestation: { POST: `${resource}_GetAttestationMechanism` },
  } as const satisfies Record<string, Methods>;
}

const ENROLLMENTS = enrollmentRoutes('IndividualEnrollment');
const GROUPS = enrollmentRoutes('EnrollmentGroup');
const REGISTRATION: Methods = {
  GET: 'DeviceRegistrationState_Get',
  DELETE: 'DeviceRegistrationState_Delete',
};
const REGISTRATION_QUERY: Methods = { POST: 'DeviceRegistrationState_Query' };
const REGISTER: Methods = { PUT: 'RuntimeRegistration_RegisterDevice' };
const OPERATION_STATUS: Methods = { GET: 'RuntimeRegistration_OperationStatusLookup' };
const REGISTRATION_STATUS: Methods = { POST: 'RuntimeRegistration_DeviceRegistrationStatusLookup' };
/** A collection or id is missing: documented as 405. */
const NOTHING: Methods = {};

/**
 * Finds the operation of a request. Clients send trailing slashes and lower-case paths; both are taken.
 * @throws ServiceError `unknownRoute`, `methodNotAllowed`, `invalidArgument`
 */
export function findRoute(method: string, path: string): Route {
  const segments = path.replace(/^\/+|\/+$/g, '').split('/');
  const [first = '', second = '', third = '', fourth = ''] = segments;
  const methods = methodsOf(segments);
  if (methods === undefined) {
    throw new ServiceError('unknownRoute');
  }
  const operation = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (operation === undefined) {
    throw new ServiceError('methodNotAllowed');
  }
  return operation.startsWith('Runtime')
    ? { operation, idScope: decode(first), id: decode(third), operationId: decode(segments[4] ?? '') }
    : { operation, idScope: '', id: second === '' ? '' : decode(second), operationId: decode(fourth) };
}

function methodsOf(segments: readonly string[]): Methods | undefined {
  const lower = segments.map((segment) => segment.toLowerCase());
  const [first, second, third, fourth] = lower;
  if (first === 'enrollments') {
    return enrollmentMethods(ENROLLMENTS, lower);
  }
  if (first === 'enrollmentgroups') {
    return enrollmentMethods(GROUPS, lower);
  }
  if (first === 'registrations') {
    if (segments.length === 1) {
      return NOTHING;
    }
    if (segments.length === 2) {
      return REGISTRATION;
    }
    return segments.length === 3 && third === 'query' ? REGISTRATION_QUERY : undefined;
  }
  if (second !== 'registrations' || !third) {
    return undefined;
  }
  if (segments.length === 3) {
    return REGISTRATION_STATUS;
  }
  if (segments.length === 4 && fourth === 'register') {
    return REGISTER;
  }
  return segments.length === 5 && fourth === 'operations' ? OPERATION_STATUS : undefined;
}

function enrollmentMethods(
  routes: ReturnType<typeof enrollmentRoutes>,
  lower: readonly string[],
): Methods | undefined {
  const [, id, rest] = lower;
  if (lower.length === 1) {
    return routes.collection;
  }
  if (lower.length === 2) {
    return id === 'query' ? routes.query : routes.item;
  }
  return lower.length === 3 && rest === 'attestationmechanism' ? routes.attestation : undefined;
}

function decode(segment: string): string {
  if (!segment.includes('%')) {
    return segment;
  }
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ServiceError('invalidArgument', 'The path is not well encoded.');
  }
}

/** The id in the path. @throws ServiceError `invalidArgument` if it is none. */
export function validId({ id }: Route): string {
  if (!isValidId(id)) {
    throw new ServiceError('invalidArgument', 'The id in the path is not valid.');
  }
  return id;
}
