/** Reads a group and changes it, on condition that nobody else has in the meantime. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');
await client.enrollmentGroups.createOrUpdate({
  enrollmentGroupId: 'sample-group-update',
  attestation: { type: 'symmetricKey' },
});

const group = await client.enrollmentGroups.get('sample-group-update');
// A write replaces the whole group, and get carries no keys: without them DPS may make new ones.
const attestation = await client.enrollmentGroups.getAttestationMechanism('sample-group-update');
const held = await client.enrollmentGroups.createOrUpdate(
  { ...group, attestation, provisioningStatus: 'disabled' },
  { onlyIfUnchanged: true },
);
console.log(`${held.enrollmentGroupId} is ${held.provisioningStatus}.`);

await client.enrollmentGroups.delete(held, { onlyIfUnchanged: true });
