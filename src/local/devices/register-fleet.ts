import { inParallel } from '../../tools/in-parallel.ts';
import type { DeviceCredential } from './device-channel.ts';
import type { FleetDevice } from './fleet.ts';
import { type Protocol, type Provisioning, protocols } from './provisioning.ts';
import { registerDevice } from './simulated-device.ts';

export interface FleetResult {
  readonly registrationId: string;
  /** As `registerDevice`, or `no key here` or `unreachable`. */
  readonly status: string;
  readonly attestation: DeviceCredential['kind'] | 'unknown';
  readonly protocol: Protocol;
  /** Of an unreachable DPS. */
  readonly detail?: string;
}

export interface FleetOptions {
  /** Default: each in turn, as far as the attestation allows. */
  readonly protocol?: Protocol | undefined;
  readonly devicesAtOnce: number;
  credentialOf(device: FleetDevice): Promise<DeviceCredential | undefined>;
  onResult?(result: FleetResult): void;
}

/** Switches devices on, several at once, over all protocols. Never rejects because of one of them. */
export async function registerFleet(
  devices: readonly FleetDevice[],
  provisioning: Provisioning,
  options: FleetOptions,
): Promise<FleetResult[]> {
  const results: FleetResult[] = [];
  await inParallel(devices.entries(), options.devicesAtOnce, async ([index, device]) => {
    const turn = protocols[index % protocols.length] ?? 'mqtt';
    const result = await registerOne(device, options.protocol ?? turn, provisioning, options);
    results.push(result);
    options.onResult?.(result);
  });
  return results;
}

async function registerOne(
  device: FleetDevice,
  wanted: Protocol,
  provisioning: Provisioning,
  { credentialOf }: FleetOptions,
): Promise<FleetResult> {
  const { registrationId } = device;
  const credential = await credentialOf(device);
  if (credential === undefined) {
    return { registrationId, status: 'no key here', attestation: 'unknown', protocol: wanted };
  }
  // DPS does not offer TPM attestation over MQTT.
  const protocol = credential.kind === 'tpm' ? 'http' : wanted;
  const attestation = credential.kind;
  try {
    const { status } = await registerDevice(registrationId, credential, provisioning, { protocol });
    return { registrationId, status, attestation, protocol };
  } catch (error) {
    return { registrationId, status: 'unreachable', attestation, protocol, detail: (error as Error).message };
  }
}
