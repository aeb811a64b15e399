/** Creates, updates and deletes any number of enrollments, ten to a request. */
import { DeviceProvisioningClient, type IndividualEnrollment } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

// The public area of an RSA endorsement key up to its modulus; read yours on the devices, see individual-tpm.ts.
const publicArea = Buffer.from(
  '013a0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa00060080004300100800000000000100',
  'hex',
);

const enrollments = Array.from(
  { length: 25 },
  (_, i): IndividualEnrollment => ({
    registrationId: `sample-bulk-${i}`,
    attestation: {
      type: 'tpm',
      tpm: { endorsementKey: Buffer.concat([publicArea, Buffer.alloc(256, i + 1)]).toString('base64') },
    },
  }),
);

const created = await client.individualEnrollments.createMany(enrollments, { concurrency: 2 });
console.log(`Created ${created.filter(({ succeeded }) => succeeded).length}.`);

// Updates need to know which version they replace: the etag that get or query answers, or any version.
const held = enrollments.map((enrollment) => ({ ...enrollment, provisioningStatus: 'disabled' as const }));
const updated = await client.individualEnrollments.updateMany(held, { unconditional: true });
console.log(`Updated ${updated.filter(({ succeeded }) => succeeded).length}.`);

const deleted = await client.individualEnrollments.deleteMany([...enrollments, 'sample-bulk-unknown']);
for (const result of deleted) {
  if (!result.succeeded) {
    console.log(`${result.id}: ${result.error.name}`);
  }
}
