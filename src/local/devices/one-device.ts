import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { deriveDeviceKey } from '../../dps/device-key.ts';
import { ifFound } from '../../dps/if-found.ts';
import type { DeviceCredential } from './device-channel.ts';
import { simulatedTpm } from './simulated-tpm.ts';

/** How a device is to prove itself. */
export type Attestation =
  | { readonly kind: 'enrolledKey' }
  | { readonly kind: 'groupKey'; readonly group: string }
  | { readonly kind: 'tpm' }
  /** PEM; the chain, leaf first. */
  | { readonly kind: 'x509'; readonly chain: string; readonly privateKey: string };

/** @throws Error that says what is missing, and what to do. */
export async function findCredential(
  registrationId: string,
  attestation: Attestation,
  client: DeviceProvisioningClient,
): Promise<DeviceCredential> {
  switch (attestation.kind) {
    case 'x509':
      return attestation;
    case 'tpm':
      return { kind: 'tpm', tpm: simulatedTpm(registrationId) };
    case 'groupKey':
      return {
        kind: 'symmetricKey',
        key: deriveDeviceKey(await groupKey(attestation.group, client), registrationId),
      };
    case 'enrolledKey':
      return { kind: 'symmetricKey', key: await enrolledKey(registrationId, client) };
  }
}

async function enrolledKey(registrationId: string, client: DeviceProvisioningClient): Promise<string> {
  const { individualEnrollments } = client;
  const mechanism = await ifFound(individualEnrollments.getAttestationMechanism(registrationId));
  if (mechanism === undefined) {
    throw new Error(
      `DPS has no individual enrollment of ${registrationId}: send its device.manufactured event first (npm run send), or name its enrollment group with --group.`,
    );
  }
  const key = mechanism.symmetricKey?.primaryKey;
  if (key !== undefined) {
    return key;
  }
  const advice = mechanism.type === 'tpm' ? '--tpm' : '--certificate FILE --key FILE';
  throw new Error(`${registrationId} is enrolled with ${mechanism.type} attestation: say ${advice}.`);
}

async function groupKey(group: string, client: DeviceProvisioningClient): Promise<string> {
  const mechanism = await ifFound(client.enrollmentGroups.getAttestationMechanism(group));
  if (mechanism === undefined) {
    throw new Error(
      `DPS has no enrollment group ${group}: send its batch.started event first (npm run send).`,
    );
  }
  const key = mechanism.symmetricKey?.primaryKey;
  if (key !== undefined) {
    return key;
  }
  throw new Error(
    `The members of ${group} prove themselves with certificates: say --certificate FILE --key FILE.`,
  );
}
