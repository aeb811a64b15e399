import { signSasToken } from '../../src/dps/sas-token.ts';
import type { Chain } from './chain.ts';

/** A token for the emulator itself, since the app signs for the proxy. */
export function authorizationFor(chain: Chain): { authorization: string } {
  const { endpoint, connectionString } = chain.stack.endpoints.dps;
  const key = /SharedAccessKey=([^;]+)/.exec(connectionString)?.[1] ?? '';
  const expires = chain.clock.milliseconds() + 3_600_000;
  return { authorization: signSasToken(new URL(endpoint).host, 'provisioningserviceowner', key, expires) };
}
