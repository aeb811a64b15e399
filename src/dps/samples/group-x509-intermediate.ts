/** An enrollment group by the intermediate certificate that signs the devices' certificates. */
import { readFileSync } from 'node:fs';
import { checkCertificate, DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const certificate = readFileSync(process.argv[2] ?? 'intermediate.pem', 'utf8');
const { problems } = checkCertificate(certificate, { now: new Date(), mustBeCa: true });
if (problems.length > 0) {
  throw new Error(problems.map(({ detail }) => detail).join(' '));
}

const group = await client.enrollmentGroups.createOrUpdate({
  enrollmentGroupId: 'sample-group-intermediate',
  attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate } } } },
});
console.log(`Signed by ${group.attestation.x509?.signingCertificates?.primary?.info?.subjectName}.`);

await client.enrollmentGroups.delete('sample-group-intermediate');
