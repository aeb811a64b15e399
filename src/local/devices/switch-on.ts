import { DeviceProvisioningClient } from '../../dps/client.ts';
import { ifFound } from '../../dps/if-found.ts';
import { readEndpoints } from '../stack/endpoints.ts';
import type { DeviceCredential } from './device-channel.ts';
import type { DeviceFlags } from './device-flags.ts';
import { findCredential } from './one-device.ts';
import { provisioningOf } from './provisioning.ts';
import { type RegistrationResult, registerDevice } from './simulated-device.ts';

/**
 * Switches one device on, and prints each step.
 * @returns whether DPS assigned it to a hub.
 */
export async function switchOn(flags: DeviceFlags): Promise<boolean> {
  const { registrationId, attestation, protocol } = flags;
  const endpoints = readEndpoints(flags.endpointsFile);
  const provisioning = provisioningOf(endpoints);
  const client = DeviceProvisioningClient.fromConnectionString(endpoints.dps.connectionString);
  try {
    const credential = await findCredential(registrationId, attestation, client);
    describe(credential);
    const options = { protocol, pace: 'as-told', onStep: print } as const;
    const result = await registerDevice(registrationId, credential, provisioning, options);
    if (result.assignedHub === undefined) {
      print('refused', refusalOf(result));
      return false;
    }
    await printTwin(result, client);
    return true;
  } finally {
    await client.close();
  }
}

function describe(credential: DeviceCredential): void {
  if (credential.kind === 'tpm') {
    print('TPM', `endorsement key ${credential.tpm.endorsementKey}`);
  }
  if (credential.kind === 'symmetricKey') {
    print('key', 'the symmetric key that the line would write into it');
  }
  if (credential.kind === 'x509') {
    print('certificate', 'shown in the TLS handshake');
  }
}

function refusalOf({ status, body }: RegistrationResult): string {
  const { registrationState = {} } = body;
  const code = registrationState.errorCode ?? body.errorCode;
  const message = registrationState.errorMessage ?? body.message;
  const why = code === undefined ? '' : `: ${code} ${message ?? ''}`;
  const trackingId = body.trackingId === undefined ? '' : ` (tracking id ${body.trackingId})`;
  const advice = {
    disabled: ' Its enrollment is disabled: a device that is held comes in after device.released.',
    unauthorized: ' DPS does not know this device with this proof: compare what is enrolled.',
    'refused with 404': ' Send its device.manufactured event first, with this endorsement key.',
    failed: ' The enrollment let it in, but no hub could be found for it.',
  }[status];
  return `${status}${why}${trackingId}.${advice ?? ''}`;
}

/** What its hub starts the device's twin with, as the enrollment has it that let the device in. */
async function printTwin(
  { registrationId, body }: RegistrationResult,
  client: DeviceProvisioningClient,
): Promise<void> {
  const { x509, symmetricKey } = body.registrationState ?? {};
  const group = x509?.enrollmentGroupId ?? symmetricKey?.enrollmentGroupId;
  const enrollment =
    group === undefined
      ? await ifFound(client.individualEnrollments.get(registrationId))
      : await ifFound(client.enrollmentGroups.get(group));
  const { tags = {}, properties = {} } = enrollment?.initialTwin ?? {};
  print('twin', `tags ${JSON.stringify(tags)}, desired ${JSON.stringify(properties.desired ?? {})}`);
}

function print(step: string, detail: string): void {
  console.log(`${step.padEnd(11)}  ${detail}`);
}
