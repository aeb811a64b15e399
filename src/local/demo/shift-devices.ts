import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { type FleetDevice, fleetOf } from '../devices/fleet.ts';
import { FleetCredentials } from '../devices/fleet-credentials.ts';
import type { Provisioning } from '../devices/provisioning.ts';
import { type FleetResult, registerFleet } from '../devices/register-fleet.ts';
import type { EventJson } from './event-file.ts';

/** Which devices of a day are switched on. */
export interface SwitchedOn {
  /** They are still in their boxes. */
  readonly but: ReadonlySet<string>;
  /** Made on another day, or never: they know a group's key. */
  readonly and: readonly FleetDevice[];
}

export const firstDay: SwitchedOn = {
  but: new Set(['thermostat-0013', 'thermostat-0014', 'sensor-0011', 'beacon-0012', 'meter-0004']),
  and: [{ registrationId: 'beacon-9999', batch: '2026-W47-B1' }],
};
export const nextDay: SwitchedOn = {
  but: new Set(['thermostat-0026', 'beacon-0025', 'beacon-0026', 'beacon-9999', 'gateway-0007']),
  and: [
    { registrationId: 'thermostat-0013' },
    { registrationId: 'thermostat-0008' },
    { registrationId: 'meter-0004' },
    { registrationId: 'beacon-9998', batch: '2026-W47-B1' },
  ],
};

/** What the line really made; the shift tells of other things, too. */
const madeDevice = /^(thermostat|gateway|meter|sensor|beacon)-\d{4}$/;
const devicesAtOnce = 8;

/** Switches the shift's devices on, over all protocols and with every kind of attestation. */
export function registerShiftDevices(
  events: readonly EventJson[],
  { but, and }: SwitchedOn,
  client: DeviceProvisioningClient,
  provisioning: Provisioning,
): Promise<FleetResult[]> {
  const fleet = fleetOf(events);
  const made = fleet.devices.filter(({ registrationId: id }) => madeDevice.test(id) && !but.has(id));
  const credentials = new FleetCredentials(client, fleet);
  return registerFleet([...made, ...and], provisioning, {
    devicesAtOnce,
    credentialOf: (device) => credentials.of(device),
  });
}
