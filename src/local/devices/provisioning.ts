import { readFileSync } from 'node:fs';
import type { Endpoints } from '../stack/endpoints.ts';

/** How a device comes to DPS. */
export const protocols = ['mqtt', 'mqtt-ws', 'http'] as const;
export type Protocol = (typeof protocols)[number];

/** Where devices register, and how they know it. */
export interface Provisioning {
  readonly endpoint: string;
  readonly mqttEndpoint: string;
  readonly mqttWebSocketEndpoint: string;
  readonly idScope: string;
  /** PEM of the authority to trust. */
  readonly ca: string;
}

export function provisioningOf({ dps }: Pick<Endpoints, 'dps'>): Provisioning {
  return {
    endpoint: dps.deviceEndpoint,
    mqttEndpoint: dps.mqttEndpoint,
    mqttWebSocketEndpoint: dps.mqttWebSocketEndpoint,
    idScope: dps.idScope,
    ca: readFileSync(dps.caCertificate, 'utf8'),
  };
}

/** The address that a device of this protocol connects to. */
export function addressFor(protocol: Protocol, provisioning: Provisioning): string {
  if (protocol === 'http') {
    return provisioning.endpoint;
  }
  return protocol === 'mqtt'
    ? provisioning.mqttEndpoint
    : `${provisioning.mqttWebSocketEndpoint}/$iothub/websocket`;
}
