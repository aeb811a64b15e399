/** Creates, updates and deletes several groups at once. */
import { DeviceProvisioningClient, type EnrollmentGroup } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const groups = ['a', 'b', 'c'].map(
  (letter): EnrollmentGroup => ({
    enrollmentGroupId: `sample-group-bulk-${letter}`,
    attestation: { type: 'symmetricKey' },
  }),
);

// One request, ten groups at most.
const created = await client.enrollmentGroups.runBulkOperation({ mode: 'create', enrollmentGroups: groups });
console.log(`Created all: ${created.isSuccessful}.`);

// A second time they exist already: each failure is in the result.
const again = await client.enrollmentGroups.runBulkOperation({ mode: 'create', enrollmentGroups: groups });
for (const { enrollmentGroupId, errorCode, errorStatus } of again.errors) {
  console.log(`${enrollmentGroupId}: ${errorCode} ${errorStatus}`);
}

// Any number of groups, ten to a request.
const deleted = await client.enrollmentGroups.deleteMany(groups);
console.log(`Deleted ${deleted.filter(({ succeeded }) => succeeded).length}.`);
