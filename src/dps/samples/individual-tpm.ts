/** An individual enrollment by the endorsement key of the device's TPM. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

// Read it on the device, for example with tpm2_createek; base64.
const endorsementKey =
  process.argv[2] ??
  'AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAxsj2gUScTk1UjuioeTlfGYZrrimExB+bScH75adUMRIi2UOMxG1kw4y+9RW/IVoMl4e620VxZad0ARX2gUqVjYO7KPVt3dyKhZS3dkcvfBisBhP1XH9B33VqHG9SHnbnQXdBUaCgKAfxome8UmBKfe+naTsE5fkvjb/do3/dD6l4sGBwFCnKRdln4XpM03zLpoHFao8zOwt8l/uP3qUIxmCYv9A7m69Ms+5/pCkTu/rK4mRDsfhZ0QLfbzVI6zQFOKF/rwsfBtFeWlWtcuJMKlXdD8TXWElTzgh7JS4qhFzreL0c1mI0GCj+Aws0usZh7dLIVPnlgZcBhgy1SSDQMQ==';

const enrollment = await client.individualEnrollments.createOrUpdate({
  registrationId: 'sample-tpm',
  attestation: { type: 'tpm', tpm: { endorsementKey } },
});
console.log(`${enrollment.registrationId} attests by ${enrollment.attestation.type}.`);

await client.individualEnrollments.delete('sample-tpm');
