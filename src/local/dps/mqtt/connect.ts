import type { IConnectPacket } from 'mqtt-packet';
import { apiVersions } from '../api-versions.ts';
import { isValidId, keyOf } from '../enrollment-kinds.ts';

/** Return codes of CONNACK, MQTT 3.1.1 table 3.1. */
export const accepted = 0;
export const unacceptableProtocolVersion = 1;
export const serverUnavailable = 3;
export const badUserNameOrPassword = 4;
export const notAuthorized = 5;

/** Who a connection is of, as its CONNECT says; it is proven when the device registers. */
export interface ConnectedDevice {
  readonly idScope: string;
  readonly registrationId: string;
  readonly apiVersion: string;
  /** The SAS token. */
  readonly password: string | undefined;
}

export type ConnectOutcome =
  | { readonly code: typeof accepted; readonly device: ConnectedDevice }
  | {
      readonly code: typeof serverUnavailable | typeof badUserNameOrPassword | typeof notAuthorized;
      /** Undefined if the user name could not be read. */
      readonly device: ConnectedDevice | undefined;
    };

/**
 * Evaluates a CONNECT: its form and the id scope here, the identity only at the registration. That an unknown id scope
 * is a 3 is what the service does, and that another client id is a 5 was reported once; the other codes are chosen.
 */
export function evaluateConnect(
  { clientId, username, password }: IConnectPacket,
  idScope: string,
  hasCertificate: boolean,
): ConnectOutcome {
  const device = parseUserName(username ?? '', password?.toString('utf8'));
  if (device === undefined) {
    return { code: badUserNameOrPassword, device };
  }
  if (keyOf(device.idScope) !== keyOf(idScope)) {
    return { code: serverUnavailable, device };
  }
  const isAnonymous = device.password === undefined && !hasCertificate;
  if (clientId !== device.registrationId || isAnonymous) {
    return { code: notAuthorized, device };
  }
  return { code: accepted, device };
}

/** `{idScope}/registrations/{registrationId}/api-version=2019-03-31&ClientVersion=…` */
function parseUserName(username: string, password: string | undefined): ConnectedDevice | undefined {
  const [, idScope, registrationId, query] = /^([^/]+)\/registrations\/([^/]+)\/(.+)$/s.exec(username) ?? [];
  if (idScope === undefined || registrationId === undefined || query === undefined) {
    return undefined;
  }
  const apiVersion = /(?:^|&)api-version=([^&]*)/.exec(query)?.[1] ?? '';
  if (!isValidId(registrationId) || !apiVersions.has(apiVersion)) {
    return undefined;
  }
  return { idScope, registrationId, apiVersion, password };
}
