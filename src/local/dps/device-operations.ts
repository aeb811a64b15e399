import { randomUUID } from 'node:crypto';
import type { DeviceCredentials } from './device-authentication.ts';
import { sameId } from './enrollment-input.ts';
import { keyOf } from './enrollment-kinds.ts';
import { ServiceError } from './errors.ts';
import { invalid, isObject, type JsonObject, optionalString } from './json-input.ts';
import { retryAfterSeconds } from './limits.ts';
import type { OperationResponse, Registrations } from './registration.ts';
import type { EmulatorResponse } from './responses.ts';
import { type Route, validId } from './routes.ts';
import type { TpmChallenges } from './tpm-challenges.ts';

/** A call of the device API, whatever transport brought it. */
export interface DeviceApiCall {
  readonly route: Route;
  readonly apiVersion: string;
  readonly isPreview: boolean;
  readonly credentials: DeviceCredentials;
  /** Empty where the device sent none. */
  readonly body: JsonObject;
  readonly idScope: string;
  readonly registrations: Registrations;
  readonly challenges: TpmChallenges;
}

/** @throws ServiceError */
export async function register(call: DeviceApiCall): Promise<EmulatorResponse> {
  const { registrations, challenges, body, credentials, route } = call;
  checkDeviceCall(call);
  if (isObject(body.tpm) && credentials.authorization === undefined) {
    return device(401, JSON.stringify(challenges.challenge(route.id, body)));
  }
  const certificateRequest = call.isPreview ? optionalString(body, 'csr') : undefined;
  return operation(await registrations.register(deviceCall(call), body, certificateRequest));
}

/** @throws ServiceError */
export async function operationStatus(call: DeviceApiCall): Promise<EmulatorResponse> {
  checkDeviceCall(call);
  return operation(call.registrations.operationStatus(deviceCall(call), call.route.operationId));
}

/** @throws ServiceError */
export async function registrationStatus(call: DeviceApiCall): Promise<EmulatorResponse> {
  checkDeviceCall(call);
  if (call.isPreview && call.body.csr !== undefined) {
    throw invalid('csr', 'is for registering only');
  }
  return device(200, call.registrations.status(deviceCall(call)));
}

/** An unknown id scope: the code is not established. */
function checkDeviceCall({ route, idScope, body }: DeviceApiCall): void {
  if (keyOf(route.idScope) !== keyOf(idScope)) {
    throw new ServiceError('unauthorized');
  }
  const named = optionalString(body, 'registrationId');
  if (named !== undefined && !sameId(named, validId(route))) {
    throw invalid('registrationId', 'must be the id of the device that asks');
  }
  validId(route);
}

function deviceCall({ route, credentials, apiVersion }: DeviceApiCall) {
  return { registrationId: route.id, credentials, apiVersion };
}

function operation({ isFinal, text }: OperationResponse): EmulatorResponse {
  return isFinal ? device(200, text) : device(202, text, { 'Retry-After': String(retryAfterSeconds) });
}

function device(status: number, text: string, headers: Record<string, string> = {}): EmulatorResponse {
  return { status, text, headers: { ...headers, 'x-ms-request-id': randomUUID() } };
}
