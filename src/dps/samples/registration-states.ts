/** From a group to a registered device and back: create, register, query, get, delete. */
import { DeviceProvisioningClient, deriveDeviceKey } from '@dps-enrollment-pipeline/client';
import { registerDevice } from './simulated-device.ts';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const group = await client.enrollmentGroups.createOrUpdate({
  enrollmentGroupId: 'sample-states',
  attestation: { type: 'symmetricKey' },
});

// Each device gets a key of its own, derived from the group's; the group's key never leaves the factory.
const deviceKey = deriveDeviceKey(group.attestation.symmetricKey?.primaryKey ?? '', 'sample-device');
const hub = await registerDevice('sample-device', deviceKey);
console.log(`Registered with ${hub}.`);

for await (const { registrationId, status } of client.deviceRegistrationStates.query('sample-states')) {
  console.log(`${registrationId} is ${status}.`);
}

const state = await client.deviceRegistrationStates.get('sample-device');
console.log(`Assigned to ${state.assignedHub} as ${state.deviceId}.`);

// The device's next registration will be a first one.
await client.deviceRegistrationStates.delete('sample-device', { ifMatch: state.etag });
await client.enrollmentGroups.delete(group, { onlyIfUnchanged: true });
