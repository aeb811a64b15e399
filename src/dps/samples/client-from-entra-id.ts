/**
 * A client from a credential of Microsoft Entra ID. Give the identity the role "Device Provisioning Service
 * Data Contributor" (or Data Reader) on the DPS instance.
 */
import { readFileSync } from 'node:fs';
import type { TokenCredential } from '@azure/core-auth';
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

const endpoint = process.env.DPS_ENDPOINT ?? 'https://my-dps.azure-devices-provisioning.net';

// Usually `new DefaultAzureCredential()` of @azure/identity. This one has its token from the environment.
const credential: TokenCredential = {
  getToken: async () => ({
    token: process.env.DPS_ACCESS_TOKEN ?? '',
    expiresOnTimestamp: Date.now() + 3_600_000,
  }),
};

// An emulator's authority; leave it out for Azure.
const file = process.env.DPS_CA_CERTIFICATE;
const caCertificates = file ? readFileSync(file, 'utf8') : undefined;

await using client = new DeviceProvisioningClient(endpoint, credential, { caCertificates });
await client.individualEnrollments.query().next();
console.log(`Connected to ${client.endpoint}.`);
