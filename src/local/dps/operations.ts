import { runBulk } from './bulk.ts';
import type { DeviceCredentials } from './device-authentication.ts';
import * as deviceOperations from './device-operations.ts';
import { sameId, textForVersion } from './enrollment-input.ts';
import { type EnrollmentKind, groupKind, individualKind, keyOf } from './enrollment-kinds.ts';
import {
  attestationMechanism,
  deleteEnrollment,
  findEnrollment,
  type WriteContext,
  writeEnrollment,
} from './enrollment-writes.ts';
import { ServiceError } from './errors.ts';
import { parseIfMatch } from './etags.ts';
import { invalid, type JsonObject, optionalString } from './json-input.ts';
import { checkQuery, type PageRequest, takePage } from './queries.ts';
import type { Registrations } from './registration.ts';
import { registrationStateText, unassignedText } from './registration-texts.ts';
import type { EmulatorResponse } from './responses.ts';
import { type OperationName, type Route, validId } from './routes.ts';
import type { Right, StoredEnrollment } from './state.ts';
import type { TpmChallenges } from './tpm-challenges.ts';

/** A request whose caller was let through, ready to run. */
export interface Call extends WriteContext {
  readonly route: Route;
  readonly apiVersion: string;
  readonly ifMatch: string | undefined;
  readonly page: PageRequest;
  readonly credentials: DeviceCredentials;
  /** Scheme and host that the client used. */
  readonly origin: string;
  readonly idScope: string;
  readonly registrations: Registrations;
  readonly challenges: TpmChallenges;
  /** Empty where the operation takes no body. */
  readonly body: JsonObject;
}

export interface Operation {
  /** What a caller of the service API needs; devices prove themselves to the operation. */
  readonly right: Right | 'device';
  /** `ignored` bodies are read past: clients send some where there should be none. */
  readonly body: 'required' | 'optional' | 'ignored';
  run(call: Call): EmulatorResponse | Promise<EmulatorResponse>;
}

type EnrollmentVerb =
  | 'Get'
  | 'CreateOrUpdate'
  | 'Delete'
  | 'Query'
  | 'GetAttestationMechanism'
  | 'RunBulkOperation';

function enrollmentOperations(kind: EnrollmentKind): Record<EnrollmentVerb, Operation> {
  return {
    Get: { right: 'EnrollmentRead', body: 'ignored', run: (call) => getEnrollment(kind, call) },
    CreateOrUpdate: { right: 'EnrollmentWrite', body: 'required', run: (call) => putEnrollment(kind, call) },
    Delete: {
      right: 'EnrollmentWrite',
      body: 'ignored',
      run: (call) => {
        deleteEnrollment(kind, validId(call.route), parseIfMatch(call.ifMatch), call);
        return { status: 204 };
      },
    },
    Query: { right: 'EnrollmentRead', body: 'required', run: (call) => queryEnrollments(kind, call) },
    GetAttestationMechanism: {
      // Not established for SAS policies; with Microsoft Entra ID a reader cannot read keys.
      right: 'EnrollmentWrite',
      body: 'ignored',
      run: (call) =>
        ok(JSON.stringify(attestationMechanism(findEnrollment(kind, validId(call.route), call.state)))),
    },
    RunBulkOperation: {
      right: 'EnrollmentWrite',
      body: 'required',
      run: (call) => ok(JSON.stringify(runBulk(kind, call.body, call))),
    },
  };
}

const individual = enrollmentOperations(individualKind);
const group = enrollmentOperations(groupKind);

export const operations: Readonly<Record<OperationName, Operation>> = {
  IndividualEnrollment_Get: individual.Get,
  IndividualEnrollment_CreateOrUpdate: individual.CreateOrUpdate,
  IndividualEnrollment_Delete: individual.Delete,
  IndividualEnrollment_Query: individual.Query,
  IndividualEnrollment_GetAttestationMechanism: individual.GetAttestationMechanism,
  IndividualEnrollment_RunBulkOperation: individual.RunBulkOperation,
  EnrollmentGroup_Get: group.Get,
  EnrollmentGroup_CreateOrUpdate: group.CreateOrUpdate,
  EnrollmentGroup_Delete: group.Delete,
  EnrollmentGroup_Query: group.Query,
  EnrollmentGroup_GetAttestationMechanism: group.GetAttestationMechanism,
  EnrollmentGroup_RunBulkOperation: group.RunBulkOperation,
  DeviceRegistrationState_Get: { right: 'RegistrationStatusRead', body: 'ignored', run: getRegistration },
  DeviceRegistrationState_Delete: {
    right: 'RegistrationStatusWrite',
    body: 'ignored',
    run: deleteRegistration,
  },
  DeviceRegistrationState_Query: {
    right: 'RegistrationStatusRead',
    body: 'ignored',
    run: queryRegistrations,
  },
  RuntimeRegistration_RegisterDevice: { right: 'device', body: 'optional', run: registerOverHttp },
  RuntimeRegistration_OperationStatusLookup: {
    right: 'device',
    body: 'ignored',
    run: deviceOperations.operationStatus,
  },
  RuntimeRegistration_DeviceRegistrationStatusLookup: {
    right: 'device',
    body: 'optional',
    run: deviceOperations.registrationStatus,
  },
};

function getEnrollment(kind: EnrollmentKind, call: Call): EmulatorResponse {
  const enrollment = findEnrollment(kind, validId(call.route), call.state);
  const text = textForVersion(enrollment, call.isPreview);
  if (kind === groupKind) {
    return ok(text);
  }
  const registration = call.state.registrations.get(enrollment.key);
  const state = registration
    ? registrationStateText(registration)
    : unassignedText(registrationIdOf(enrollment));
  const at = text === enrollment.text ? enrollment.stateAt : textHead(enrollment, text);
  return ok(`${text.slice(0, at)},"registrationState":${state}${text.slice(at)}`);
}

/** Where the state goes in a text that lost a preview member: those stand before it, so it moves by what is missing. */
function textHead(enrollment: StoredEnrollment, text: string): number {
  return enrollment.stateAt - (enrollment.text.length - text.length);
}

function registrationIdOf({ text }: StoredEnrollment): string {
  return text.slice('{"registrationId":"'.length, text.indexOf('"', '{"registrationId":"'.length));
}

function putEnrollment(kind: EnrollmentKind, call: Call): EmulatorResponse {
  const id = validId(call.route);
  const named = optionalString(call.body, kind.idMember);
  if (named !== undefined && !sameId(named, id)) {
    throw invalid(kind.idMember, 'must be the id in the path');
  }
  return ok(writeEnrollment(kind, call.body, id, parseIfMatch(call.ifMatch), call)());
}

function queryEnrollments(kind: EnrollmentKind, call: Call): EmulatorResponse {
  const isIndividual = kind === individualKind;
  const listing = isIndividual ? 'enrollments' : 'enrollmentGroups';
  checkQuery(call.body, listing);
  const { items, continuation } = takePage(call.state.enrollments(kind), listing, call.page);
  const texts = items.map((item) => textForVersion(item, call.isPreview));
  return page(texts, isIndividual ? 'Enrollment' : 'EnrollmentGroup', continuation);
}

function getRegistration(call: Call): EmulatorResponse {
  const registration = call.state.registrations.get(keyOf(validId(call.route)));
  if (registration === undefined) {
    throw new ServiceError('registrationNotFound');
  }
  return ok(registrationStateText(registration));
}

function deleteRegistration(call: Call): EmulatorResponse {
  const ifMatch = parseIfMatch(call.ifMatch);
  const registration = call.state.registrations.get(keyOf(validId(call.route)));
  if (registration === undefined) {
    throw new ServiceError('registrationNotFound');
  }
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== registration.etag) {
    throw new ServiceError('preconditionFailed');
  }
  call.state.commit({ delete: 'registration', key: registration.key });
  return { status: 204 };
}

function queryRegistrations(call: Call): EmulatorResponse {
  const { key } = findEnrollment(groupKind, validId(call.route), call.state);
  const { items, continuation } = takePage(
    call.state.registrationsOf(key),
    `registrations/${key}`,
    call.page,
  );
  return page(items.map(registrationStateText), 'DeviceRegistration', continuation);
}

/** Over HTTP a registration that is under way has an address, too. */
async function registerOverHttp(call: Call): Promise<EmulatorResponse> {
  const response = await deviceOperations.register(call);
  if (response.status !== 202) {
    return response;
  }
  const { origin, route } = call;
  const location = `${origin}/${route.idScope}/registrations/${encodeURIComponent(route.id)}/register`;
  return { ...response, headers: { ...response.headers, Location: location } };
}

function page(
  texts: readonly string[],
  itemType: string,
  continuation: string | undefined,
): EmulatorResponse {
  return {
    status: 200,
    text: `[${texts.join(',')}]`,
    headers: {
      'X-Content-Type-Options': 'nosniff',
      'x-ms-item-type': itemType,
      ...(continuation === undefined ? {} : { 'x-ms-continuation': continuation }),
    },
  };
}

function ok(text: string): EmulatorResponse {
  return { status: 200, text };
}
