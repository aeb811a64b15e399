/** What a device with a symmetric key does to register, over HTTP. Not part of the client: devices use it. */
import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

interface Registration {
  readonly operationId: string;
  readonly status: string;
  readonly registrationState?: { readonly assignedHub?: string };
}

/** @returns the host name of the hub that the device was assigned to. */
export async function registerDevice(registrationId: string, deviceKey: string): Promise<string> {
  const endpoint = process.env.DPS_DEVICE_ENDPOINT ?? 'https://global.azure-devices-provisioning.net';
  const scope = process.env.DPS_ID_SCOPE ?? '';
  const resource = encodeURIComponent(`${scope}/registrations/${registrationId}`);
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const signature = createHmac('sha256', Buffer.from(deviceKey, 'base64'))
    .update(`${resource}\n${expiry}`)
    .digest('base64');
  const authorization = `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=registration`;
  const call = async (method: string, path: string, body?: string) => {
    const response = await fetch(
      `${endpoint}/${scope}/registrations/${registrationId}${path}?api-version=2021-06-01`,
      {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        ...(body !== undefined && { body }),
      },
    );
    const registration = (await response.json()) as Registration;
    if (registration.status === 'assigning') {
      await sleep(Number(response.headers.get('retry-after') ?? 3) * 1000);
    }
    return registration;
  };
  let registration = await call('PUT', '/register', JSON.stringify({ registrationId }));
  while (registration.status === 'assigning') {
    registration = await call('GET', `/operations/${registration.operationId}`);
  }
  return registration.registrationState?.assignedHub ?? registration.status;
}
