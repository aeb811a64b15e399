/** Reads the keys of an enrollment: the only way to them after creation. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');
await client.individualEnrollments.createOrUpdate({
  registrationId: 'sample-mechanism',
  attestation: { type: 'symmetricKey' },
});

const mechanism = await client.individualEnrollments.getAttestationMechanism('sample-mechanism');
const keys = Object.keys(mechanism.symmetricKey ?? {});
console.log(`${mechanism.type} with ${keys.join(' and ')}.`);

await client.individualEnrollments.delete('sample-mechanism');
