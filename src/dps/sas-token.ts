import { createHmac } from 'node:crypto';
import { parseEndpoint } from './endpoint.ts';

/** Official clients make tokens for an hour. */
export const defaultTokenTtlInMs = 3_600_000;

/**
 * A shared access signature for the DPS service API, to use with `AzureSASCredential` where the policy's
 * key itself must not go.
 *
 * @param endpoint - `https://name.azure-devices-provisioning.net`, or the bare host name.
 * @param policyName - a shared access policy of the instance, such as `provisioningserviceowner`.
 * @param policyKey - the policy's primary or secondary key, base64.
 * @param ttlInMs - how long the token is good for, in milliseconds; an hour by default.
 * @returns `SharedAccessSignature sr=…&sig=…&se=…&skn=…`
 *
 * Source: Azure's "Control access to DPS with shared access signatures".
 */
export function generateSasToken(
  endpoint: string,
  policyName: string,
  policyKey: string,
  ttlInMs: number = defaultTokenTtlInMs,
): string {
  return signSasToken(parseEndpoint(endpoint).host, policyName, policyKey, Date.now() + ttlInMs);
}

/** The same for a host name and a moment of expiry in milliseconds since 1970. */
export function signSasToken(host: string, policyName: string, policyKey: string, expiresAt: number): string {
  const resource = encodeURIComponent(host.toLowerCase());
  const expiry = Math.floor(expiresAt / 1000);
  const signature = createHmac('sha256', Buffer.from(policyKey, 'base64'))
    .update(`${resource}\n${expiry}`, 'utf8')
    .digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=${encodeURIComponent(policyName)}`;
}
