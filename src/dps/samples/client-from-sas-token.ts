/** A client from a shared access signature, for places where the policy's key must not go. */
import { AzureSASCredential } from '@azure/core-auth';
import { DeviceProvisioningClient, generateSasToken } from '@dps-enrollment-pipeline/client';

const endpoint = process.env.DPS_ENDPOINT ?? 'https://my-dps.azure-devices-provisioning.net';
const oneHourInMs = 3_600_000;

// Where the key is: make a signature for an hour.
const signature = generateSasToken(
  endpoint,
  'provisioningserviceowner',
  process.env.DPS_POLICY_KEY ?? '',
  oneHourInMs,
);

// Elsewhere: use it, and call credential.update with a new one before the hour is over.
const credential = new AzureSASCredential(signature);
// The option lets a local emulator be spoken to over plain HTTP; leave it out for Azure.
await using client = new DeviceProvisioningClient(endpoint, credential, { allowInsecureLoopback: true });
await client.individualEnrollments.query().next();
console.log(`Connected to ${client.endpoint}.`);
