import { createHmac } from 'node:crypto';
import type {
  DeviceChannel,
  DeviceCredential,
  DeviceResponse,
  DeviceResponseBody,
} from './device-channel.ts';
import { openHttpChannel } from './http-channel.ts';
import { addressFor, type Protocol, type Provisioning } from './provisioning.ts';

export interface RegistrationResult {
  readonly registrationId: string;
  /** `assigned`, `disabled`, `failed`, or `unauthorized` where DPS did not let the device in at all. */
  readonly status: string;
  readonly assignedHub?: string;
  /** What DPS said last. */
  readonly body: DeviceResponseBody;
}

/** What a device is doing, for whoever watches. */
export type DeviceStep = (
  step: 'connecting' | 'challenge' | 'assigning' | 'assigned' | 'hub key',
  detail: string,
) => void;

export interface RegistrationOptions {
  /** Default: http. */
  readonly protocol?: Protocol;
  /** `as-told` waits as long as DPS says, as a real device does. Default: 100 ms, and not before the first poll. */
  readonly pace?: 'as-told' | 'fast';
  readonly onStep?: DeviceStep;
}

const tokenLifeInSeconds = 3_600;
const defaultWaitInSeconds = 2;
const fastWaitInMs = 100;
const timeoutInMs = 60_000;

/**
 * A device that is switched on: it registers, and asks until DPS has decided.
 * @throws Error if DPS cannot be reached, or refuses the connection.
 */
export async function registerDevice(
  registrationId: string,
  credential: DeviceCredential,
  provisioning: Provisioning,
  { protocol = 'http', pace = 'fast', onStep = () => {} }: RegistrationOptions = {},
): Promise<RegistrationResult> {
  onStep('connecting', `${addressFor(protocol, provisioning)} as ${registrationId}`);
  const resource = `${provisioning.idScope}/registrations/${registrationId}`;
  let token = credential.kind === 'symmetricKey' ? deviceToken(resource, credential.key) : undefined;
  const channel = await openChannel(protocol, registrationId, credential, token, provisioning);
  try {
    const body = bodyOf(registrationId, credential);
    let response = await channel.register(body, token);
    if (credential.kind === 'tpm' && response.body.authenticationKey !== undefined) {
      onStep('challenge', 'DPS sealed a key for the TPM; the device opens it and signs with it');
      token = deviceToken(resource, credential.tpm.activate(response.body.authenticationKey));
      response = await channel.register(body, token);
    }
    response = await awaitDecision(channel, response, token, pace, onStep);
    return resultOf(registrationId, credential, response, onStep);
  } finally {
    await channel.close();
  }
}

async function openChannel(
  protocol: Protocol,
  registrationId: string,
  credential: DeviceCredential,
  token: string | undefined,
  provisioning: Provisioning,
): Promise<DeviceChannel> {
  if (protocol === 'http') {
    return openHttpChannel(registrationId, credential, provisioning);
  }
  if (credential.kind === 'tpm') {
    throw new Error('DPS does not offer TPM attestation over MQTT: use http.');
  }
  // mqtt.js takes its time to load.
  const { openMqttChannel } = await import('./mqtt-channel.ts');
  return openMqttChannel(protocol, registrationId, credential, token, provisioning);
}

function bodyOf(registrationId: string, credential: DeviceCredential): object {
  if (credential.kind !== 'tpm') {
    return { registrationId };
  }
  const { endorsementKey, storageRootKey } = credential.tpm;
  return { registrationId, tpm: { endorsementKey, storageRootKey } };
}

async function awaitDecision(
  channel: DeviceChannel,
  first: DeviceResponse,
  token: string | undefined,
  pace: 'as-told' | 'fast',
  onStep: DeviceStep,
): Promise<DeviceResponse> {
  const { operationId = '' } = first.body;
  const deadline = Date.now() + timeoutInMs;
  let response = first;
  for (let poll = 0; response.status === 202; poll++) {
    if (Date.now() > deadline) {
      throw new Error(`DPS is still assigning the device after ${timeoutInMs / 1_000} s.`);
    }
    const told = response.retryAfterInSeconds || defaultWaitInSeconds;
    onStep('assigning', `operation ${operationId}, come back in ${told} s`);
    const wait = pace === 'as-told' ? told * 1_000 : poll > 0 ? fastWaitInMs : 0;
    await new Promise((resolve) => setTimeout(resolve, wait));
    response = await channel.operationStatus(operationId, token);
  }
  return response;
}

function resultOf(
  registrationId: string,
  credential: DeviceCredential,
  { status: code, body }: DeviceResponse,
  onStep: DeviceStep,
): RegistrationResult {
  if (code === 401) {
    return { registrationId, status: 'unauthorized', body };
  }
  const { status = `refused with ${code}`, registrationState = {} } = body;
  const { assignedHub, deviceId, substatus, tpm } = registrationState;
  if (assignedHub === undefined) {
    return { registrationId, status, body };
  }
  onStep('assigned', `${assignedHub} as ${deviceId} (${substatus})`);
  if (credential.kind === 'tpm' && tpm?.authenticationKey !== undefined) {
    credential.tpm.activate(tpm.authenticationKey);
    onStep('hub key', 'a second key for the IoT hub, which the TPM opened');
  }
  return { registrationId, status, assignedHub, body };
}

/** @param key base64, or its bytes */
function deviceToken(resource: string, key: string | Buffer): string {
  const audience = encodeURIComponent(resource);
  const expiry = Math.floor(Date.now() / 1_000) + tokenLifeInSeconds;
  const signature = createHmac('sha256', typeof key === 'string' ? Buffer.from(key, 'base64') : key)
    .update(`${audience}\n${expiry}`)
    .digest('base64');
  return `SharedAccessSignature sr=${audience}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=registration`;
}
