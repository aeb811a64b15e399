/** What the client's package offers. Everything else is its own affair, and may change. */
export {
  type AttestationExpectations,
  type AttestationProblem,
  checkAttestation,
} from './attestation-checks.ts';
export type { DeviceProvisioningCredential } from './authorization.ts';
export type { ItemResult } from './bulk-many.ts';
export {
  type CertificateCheck,
  type CertificateExpectations,
  type CertificateInfo,
  type CertificateProblem,
  type CertificateProblemCode,
  checkCertificate,
} from './certificate-checks.ts';
export { DeviceProvisioningClient } from './client.ts';
export type { ClientHooks, RequestEvent, WaitEvent } from './client-hooks.ts';
export type { DeviceProvisioningClientOptions, ServiceVersion } from './client-options.ts';
export { deriveDeviceKey } from './device-key.ts';
export type { DeviceRegistrationStates } from './device-registration-states.ts';
export type {
  EnrollmentCollection,
  EnrollmentGroups,
  IndividualEnrollments,
} from './enrollment-collection.ts';
export type { EnrollmentGroupKind, EnrollmentKind, IndividualEnrollmentKind } from './enrollment-kinds.ts';
export {
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
export { ifFound } from './if-found.ts';
export type * from './models.ts';
export type * from './operation-options.ts';
export type { Page, PagedQuery } from './paged-query.ts';
export type { RetryOptions } from './retry-policy.ts';
export { generateSasToken } from './sas-token.ts';
export { symmetricKeyProblem } from './symmetric-keys.ts';
export type { TracingClient, TracingSpan } from './tracing.ts';
