import { isExpired, isSignedWith, parseSas } from '../sas.ts';
import { readClaims } from '../service-authorization.ts';
import { HubError } from './errors.ts';

export type HubRight = 'RegistryRead' | 'RegistryWrite' | 'ServiceConnect';

/** The same in every hub and on every machine. It protects nothing. */
export const developmentHubKey = 'SHViIG9mIHRoZSBEUFMgZW11bGF0b3IsIG5vdCBhIHNlY3JldA==';

/** The policies of a new hub, as far as the service API is concerned; all have the same key here. */
const rightsOfPolicies: Readonly<Record<string, readonly HubRight[]>> = {
  iothubowner: ['RegistryRead', 'RegistryWrite', 'ServiceConnect'],
  service: ['ServiceConnect'],
  registryRead: ['RegistryRead'],
  registryReadWrite: ['RegistryRead', 'RegistryWrite'],
};
const tokenAudience = 'https://iothubs.azure.net';

/**
 * @throws HubError IotHubUnauthorized: hubs answer 401 for a right that is missing, too
 */
export function requireHubRight(
  rights: readonly HubRight[],
  { authorization, hub, isTls }: { authorization: string | undefined; hub: string; isTls: boolean },
  now: number,
): void {
  if (authorization?.startsWith('Bearer ')) {
    if (!isTls) {
      throw new HubError('IotHubUnauthorized', 'Bearer tokens are taken over HTTPS only.');
    }
    requireAudience(authorization.slice('Bearer '.length).trim(), now);
    return;
  }
  const token = parseSas(authorization);
  const granted =
    token && Object.hasOwn(rightsOfPolicies, token.keyName) ? rightsOfPolicies[token.keyName] : undefined;
  const isGood =
    token?.resource === hub &&
    !isExpired(token, now) &&
    isSignedWith(token, Buffer.from(developmentHubKey, 'base64'));
  if (!isGood || !rights.every((right) => granted?.includes(right))) {
    throw new HubError('IotHubUnauthorized');
  }
}

/** Claims are read, the signature is not checked: any issuer will do here. */
function requireAudience(jwt: string, now: number): void {
  const claims = readClaims(jwt);
  const audiences = [claims?.aud].flat().map((audience) => String(audience).replace(/\/$/, ''));
  if (!audiences.includes(tokenAudience) || !(Number(claims?.exp) > now / 1_000)) {
    throw new HubError('IotHubUnauthorized');
  }
}
