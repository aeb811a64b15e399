/** A client from the name and the key of a shared access policy. The key can be rotated while it runs. */
import { AzureNamedKeyCredential } from '@azure/core-auth';
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

const endpoint = process.env.DPS_ENDPOINT ?? 'https://my-dps.azure-devices-provisioning.net';
const credential = new AzureNamedKeyCredential(
  process.env.DPS_POLICY_NAME ?? 'provisioningserviceowner',
  process.env.DPS_POLICY_KEY ?? '',
);
// The option lets a local emulator be spoken to over plain HTTP; leave it out for Azure.
await using client = new DeviceProvisioningClient(endpoint, credential, { allowInsecureLoopback: true });
await client.individualEnrollments.query().next();

// After a rotation of the policy's keys: the next request uses the new one.
credential.update('provisioningserviceowner', process.env.DPS_POLICY_SECONDARY_KEY ?? '');
await client.individualEnrollments.query().next();
console.log(`Connected to ${client.endpoint} with both keys.`);
