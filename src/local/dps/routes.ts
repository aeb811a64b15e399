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

const ofEnrollments = enrollmentRoutes('IndividualEnrollment');
const ofGroups = enrollmentRoutes('EnrollmentGroup');
const registration: Methods = {
  GET: 'DeviceRegistrationState_Get',
  DELETE: 'DeviceRegistrationState_Delete',
};
const registrationQuery: Methods = { POST: 'DeviceRegistrationState_Query' };
const registerTopic: Methods = { PUT: 'RuntimeRegistration_RegisterDevice' };
const operationStatus: Methods = { GET: 'RuntimeRegistration_OperationStatusLookup' };
const registrationStatus: Methods = { POST: 'RuntimeRegistration_DeviceRegistrationStatusLookup' };
/** A collection or id is missing: documented as 405. */
const nothing: Methods = {};

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
    return enrollmentMethods(ofEnrollments, lower);
  }
  if (first === 'enrollmentgroups') {
    return enrollmentMethods(ofGroups, lower);
  }
  if (first === 'registrations') {
    if (segments.length === 1) {
      return nothing;
    }
    if (segments.length === 2) {
      return registration;
    }
    return segments.length === 3 && third === 'query' ? registrationQuery : undefined;
  }
  if (second !== 'registrations' || !third) {
    return undefined;
  }
  if (segments.length === 3) {
    return registrationStatus;
  }
  if (segments.length === 4 && fourth === 'register') {
    return registerTopic;
  }
  return segments.length === 5 && fourth === 'operations' ? operationStatus : undefined;
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
