/** An individual enrollment whose device may move to another hub, but begins there anew. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const enrollment = await client.individualEnrollments.createOrUpdate({
  registrationId: 'sample-reprovision',
  attestation: { type: 'symmetricKey' },
  allocationPolicy: 'hashed',
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
});
console.log(JSON.stringify(enrollment.reprovisionPolicy));

await client.individualEnrollments.delete('sample-reprovision');
