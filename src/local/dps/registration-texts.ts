import type { StoredRegistration } from './state.ts';

/** The registration state of the service API, in the service's order of members. */
export function registrationStateText(registration: StoredRegistration): string {
  return textOf({}, registration, registration.substatus);
}

/** Before any registration, in GET of an individual enrollment. */
export function unassignedText(registrationId: string): string {
  return JSON.stringify({ registrationId, status: 'unassigned' });
}

/**
 * The registration result of the device API.
 * @param proof the member that says how the device attested, which comes first: `x509`, `symmetricKey`, `tpm`.
 * @param isOldVersion 2019-03-31 knows no `reprovisionedToInitialAssignment`; it keeps saying `initialAssignment`.
 */
export function registrationResultText(
  proof: Record<string, unknown>,
  registration: StoredRegistration,
  isOldVersion: boolean,
  issuedCertificateChain?: readonly string[],
): string {
  const isRepeated = registration.substatus === 'reprovisionedToInitialAssignment';
  const substatus = isOldVersion && isRepeated ? 'initialAssignment' : registration.substatus;
  return textOf(proof, registration, substatus, issuedCertificateChain);
}

function textOf(
  proof: Record<string, unknown>,
  registration: StoredRegistration,
  substatus: string | undefined,
  issuedCertificateChain?: readonly string[],
): string {
  const { registrationId, status } = registration;
  const isAssigned = status === 'assigned';
  return JSON.stringify({
    ...proof,
    registrationId,
    createdDateTimeUtc: status === 'disabled' ? undefined : registration.createdDateTimeUtc,
    assignedHub: isAssigned ? registration.assignedHub : undefined,
    deviceId: isAssigned ? registration.deviceId : undefined,
    status,
    substatus: isAssigned ? substatus : undefined,
    errorCode: registration.errorCode,
    errorMessage: registration.errorMessage,
    lastUpdatedDateTimeUtc: registration.lastUpdatedDateTimeUtc,
    etag: registration.etag,
    payload: registration.payload === undefined ? undefined : JSON.parse(registration.payload),
    issuedCertificateChain,
  });
}
