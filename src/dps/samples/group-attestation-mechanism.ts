/** Reads the keys of a group: the only way to them after creation. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');
await client.enrollmentGroups.createOrUpdate({
  enrollmentGroupId: 'sample-group-mechanism',
  attestation: { type: 'symmetricKey' },
});

const mechanism = await client.enrollmentGroups.getAttestationMechanism('sample-group-mechanism');
const keys = Object.keys(mechanism.symmetricKey ?? {});
console.log(`${mechanism.type} with ${keys.join(' and ')}.`);

await client.enrollmentGroups.delete('sample-group-mechanism');
