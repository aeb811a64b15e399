/** An enrollment group by symmetric key; DPS makes the keys. */
import { DeviceProvisioningClient, deriveDeviceKey } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const group = await client.enrollmentGroups.createOrUpdate({
  enrollmentGroupId: 'sample-group-key',
  attestation: { type: 'symmetricKey' },
  provisioningStatus: 'enabled',
});
const key = group.attestation.symmetricKey?.primaryKey ?? '';
console.log(`${group.enrollmentGroupId} has a key of ${Buffer.byteLength(key, 'base64')} bytes.`);
console.log(
  `The key of sample-device has ${Buffer.byteLength(deriveDeviceKey(key, 'sample-device'), 'base64')}.`,
);

await client.enrollmentGroups.delete('sample-group-key');
