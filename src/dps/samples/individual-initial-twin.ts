/** An individual enrollment whose device comes to its hub with tags and desired properties. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const enrollment = await client.individualEnrollments.createOrUpdate({
  registrationId: 'sample-twin',
  attestation: { type: 'symmetricKey' },
  initialTwin: {
    tags: { plant: 'brno', line: 3 },
    properties: { desired: { reportingIntervalInSeconds: 30 } },
  },
  optionalDeviceInformation: { color: 'white' },
});
console.log(JSON.stringify(enrollment.initialTwin));

await client.individualEnrollments.delete('sample-twin');
