import { createHmac } from 'node:crypto';

/**
 * The symmetric key of one device of an enrollment group: HMAC-SHA256 of the registration id under the
 * group's key. Put it, never the group's key, on the device.
 *
 * @param groupKey - the group's primary or secondary key, base64.
 * @param registrationId - exactly as the device will send it; the case counts.
 * @returns the device's key, base64 of 32 bytes.
 *
 * Source: Azure's "How to use symmetric key attestation with enrollment groups".
 */
export function deriveDeviceKey(groupKey: string, registrationId: string): string {
  return createHmac('sha256', Buffer.from(groupKey, 'base64'))
    .update(registrationId, 'utf8')
    .digest('base64');
}
