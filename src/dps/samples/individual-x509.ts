/** An individual enrollment by the device's own certificate, whose common name is the registration id. */
import { readFileSync } from 'node:fs';
import { checkCertificate, DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '');

const certificate = readFileSync(process.argv[2] ?? 'device.pem', 'utf8');
const { info, problems } = checkCertificate(certificate, { now: new Date() });
if (!info?.commonName || problems.length > 0) {
  throw new Error(problems.map(({ detail }) => detail).join(' ') || 'The certificate has no common name.');
}

const enrollment = await client.individualEnrollments.createOrUpdate({
  registrationId: info.commonName,
  attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate } } } },
});
const stored = enrollment.attestation.x509?.clientCertificates?.primary?.info;
console.log(`${enrollment.registrationId} attests by ${stored?.subjectName}, until ${stored?.notAfterUtc}.`);

await client.individualEnrollments.delete(info.commonName);
