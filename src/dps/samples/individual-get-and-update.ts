/** Reads an enrollment and changes it, on condition that nobody else has in the meantime. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');
await client.individualEnrollments.createOrUpdate({
  registrationId: 'sample-update',
  attestation: { type: 'symmetricKey' },
});

const enrollment = await client.individualEnrollments.get('sample-update');
console.log(`${enrollment.registrationId} is ${enrollment.registrationState?.status}.`);
// A write replaces the whole enrollment, and get carries no keys: without them DPS may make new ones.
const attestation = await client.individualEnrollments.getAttestationMechanism('sample-update');
const held = await client.individualEnrollments.createOrUpdate(
  { ...enrollment, attestation, provisioningStatus: 'disabled' },
  { onlyIfUnchanged: true },
);
console.log(`${held.registrationId} is ${held.provisioningStatus}.`);

await client.individualEnrollments.delete(held, { onlyIfUnchanged: true });
