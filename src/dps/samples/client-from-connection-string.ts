/** A client from the connection string of a shared access policy, as the Azure portal shows it. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

const connectionString = process.env.DPS_CONNECTION_STRING ?? '';
await using client = DeviceProvisioningClient.fromConnectionString(connectionString);

for await (const group of client.enrollmentGroups.query()) {
  console.log(group.enrollmentGroupId);
}
console.log(`Connected to ${client.endpoint}.`);
