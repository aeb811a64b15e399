import type { Chain } from './chain.ts';
import { authorizationFor } from './dps-signature.ts';
import { FaultyProxy, originOfTables, type ProxyOptions } from './proxy.ts';

type Options = Partial<Omit<ProxyOptions, 'target' | 'headers'>>;

/** Between the app and a chain's DPS. All passes, unless `fate` has it otherwise. */
export function proxyOfDps(chain: Chain, options: Options = {}): Promise<FaultyProxy> {
  const { endpoint } = chain.stack.endpoints.dps;
  const headers = () => authorizationFor(chain);
  return FaultyProxy.start({ fate: () => 'pass', ...options, target: endpoint, headers });
}

/** Between the app and a chain's tables. */
export function proxyOfTables(chain: Chain, options: Options = {}): Promise<FaultyProxy> {
  const target = originOfTables(chain.stack.endpoints.tables.connectionString);
  return FaultyProxy.start({ fate: () => 'pass', ...options, target });
}
