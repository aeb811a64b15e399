/** An individual enrollment by symmetric keys of your own making. */
import { randomBytes } from 'node:crypto';
import { DeviceProvisioningClient, symmetricKeyProblem } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

// Leave the keys out, and DPS makes them.
const primaryKey = randomBytes(32).toString('base64');
const secondaryKey = randomBytes(32).toString('base64');
console.log(`Problem with the key: ${symmetricKeyProblem(primaryKey) ?? 'none'}.`);

const enrollment = await client.individualEnrollments.createOrUpdate({
  registrationId: 'sample-key',
  deviceId: 'thermostat-in-the-hall',
  attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } },
});
console.log(`${enrollment.registrationId} will be ${enrollment.deviceId}.`);

await client.individualEnrollments.delete('sample-key');
