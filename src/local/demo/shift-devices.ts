import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { fleetOf } from '../devices/fleet.ts';
import { FleetCredentials } from '../devices/fleet-credentials.ts';
import type { Provisioning } from '../devices/provisioning.ts';
import { type FleetResult, registerFleet } from '../devices/register-fleet.ts';
import type { EventJson } from './event-file.ts';

/** They are still in their boxes. */
const neverSwitchedOn = new Set([
  'thermostat-0013',
  'thermostat-0014',
  'sensor-0011',
  'beacon-0012',
  'meter-0004',
]);
/** What the line really made; the shift tells of other things, too. */
const madeDevice = /^(thermostat|gateway|meter|sensor|beacon)-\d{4}$/;
/** Knows a group's key, and was never made. */
const nobodyMadeIt = { registrationId: 'beacon-9999', batch: '2026-W47-B1' };
const devicesAtOnce = 8;

/** Switches the shift's devices on, over all protocols and with every kind of attestation. */
export function registerShiftDevices(
  events: readonly EventJson[],
  client: DeviceProvisioningClient,
  provisioning: Provisioning,
): Promise<FleetResult[]> {
  const fleet = fleetOf(events);
  const made = fleet.devices.filter(
    ({ registrationId: id }) => madeDevice.test(id) && !neverSwitchedOn.has(id),
  );
  const credentials = new FleetCredentials(client, fleet);
  return registerFleet([...made, nobodyMadeIt], provisioning, {
    devicesAtOnce,
    credentialOf: (device) => credentials.of(device),
  });
}
