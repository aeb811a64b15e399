import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { deriveDeviceKey } from '../../dps/device-key.ts';
import { demoPrivateKey, demoSymmetricKey, issueCertificate } from './demo-authority.ts';
import type { EventJson } from './event-file.ts';
import {
  type DeviceCredential,
  type Provisioning,
  type RegistrationResult,
  registerDevice,
} from './simulated-device.ts';

/** They are still in their boxes. */
const neverSwitchedOn = new Set(['thermostat-0013', 'thermostat-0014', 'sensor-0011', 'beacon-0012']);
/** Knows a group's key, and was never made. */
const nobodyMadeIt = 'beacon-9999';
const sensorBatch = '2026-W47-S3';
const beaconBatch = '2026-W47-B1';
const devicesAtOnce = 8;

/** Switches the shift's devices on. Meters stay off: a TPM is not simulated here. */
export async function registerShiftDevices(
  events: readonly EventJson[],
  client: DeviceProvisioningClient,
  provisioning: Provisioning,
): Promise<RegistrationResult[]> {
  const made = events
    .filter(({ type }) => String(type).endsWith('device.manufactured'))
    .map(({ subject }) => String(subject))
    .filter((id) => /^(thermostat|gateway|sensor|beacon)-\d{4}$/.test(id) && !neverSwitchedOn.has(id));
  const waiting = [...new Set(made), nobodyMadeIt];
  const results: RegistrationResult[] = [];
  const worker = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift())
      results.push(await registerDevice(id, await credentialOf(id, events, client), provisioning));
  };
  await Promise.all(Array.from({ length: devicesAtOnce }, worker));
  return results;
}

async function credentialOf(
  id: string,
  events: readonly EventJson[],
  client: DeviceProvisioningClient,
): Promise<DeviceCredential> {
  if (id.startsWith('sensor-')) {
    const intermediate = await signingCertificate(events);
    const { certificate, privateKey } = await issueCertificate(id, {
      issuer: 'Contoso Sensors Line 3 CA 2026-W47',
    });
    return { kind: 'x509', chain: certificate + intermediate, privateKey };
  }
  if (id.startsWith('gateway-'))
    return { kind: 'x509', chain: certificateOf(id, events), privateKey: demoPrivateKey(id) };
  if (id.startsWith('beacon-')) {
    const mechanism = await client.enrollmentGroups.getAttestationMechanism(beaconBatch);
    return { kind: 'symmetricKey', key: deriveDeviceKey(mechanism.symmetricKey?.primaryKey ?? '', id) };
  }
  // The line asks DPS for the key and writes it into the device; what was scrapped keeps a key that is worthless.
  const mechanism = await client.individualEnrollments.getAttestationMechanism(id).catch(() => undefined);
  return {
    kind: 'symmetricKey',
    key: mechanism?.symmetricKey?.primaryKey ?? demoSymmetricKey(id, 'primary'),
  };
}

async function signingCertificate(events: readonly EventJson[]): Promise<string> {
  const batch = events.find(({ subject }) => subject === sensorBatch);
  return String(attestationOf(batch)?.signingCertificate);
}

function certificateOf(id: string, events: readonly EventJson[]): string {
  const event = events.find(
    ({ subject, type }) => subject === id && String(type).endsWith('device.manufactured'),
  );
  return String(attestationOf(event)?.certificate);
}

function attestationOf(event: EventJson | undefined): Record<string, unknown> | undefined {
  const data = event?.data as { attestation?: Record<string, unknown> } | undefined;
  return data?.attestation;
}
