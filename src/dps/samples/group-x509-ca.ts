/** An enrollment group by a CA certificate that was uploaded to the DPS instance, and verified. */
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const nameInDps = process.argv[2] ?? 'factory-root';
const group = await client.enrollmentGroups.createOrUpdate({
  enrollmentGroupId: 'sample-group-ca',
  attestation: { type: 'x509', x509: { caReferences: { primary: nameInDps } } },
});
console.log(`Signed by ${group.attestation.x509?.caReferences?.primary}.`);

await client.enrollmentGroups.delete('sample-group-ca');
