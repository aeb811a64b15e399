import type { HubClient } from '../../hub/hub-client.ts';
import type { ThrottledDps } from '../dps-access/throttled-dps.ts';

/** The service API of one hub, and the way to it: its budget and its circuit breaker. */
export interface Hub {
  readonly client: Pick<HubClient, 'get' | 'update' | 'delete'>;
  readonly throttled: Pick<ThrottledDps, 'call'>;
}

/** A hub that DPS names, and that no credential of ours is for. */
export class UnknownHubError extends Error {
  override name = 'UnknownHubError';
}

/** The hubs that DPS assigns to, by host name; each is made when it is first asked for. */
export class Hubs {
  readonly #open: (hub: string) => Hub | undefined;
  readonly #hubs = new Map<string, Hub>();

  constructor(open: (hub: string) => Hub | undefined) {
    this.#open = open;
  }

  /** @throws UnknownHubError */
  of(hostName: string): Hub {
    const name = hostName.toLowerCase();
    const hub = this.#hubs.get(name) ?? this.#open(name);
    if (!hub) {
      throw new UnknownHubError(
        `${name} is no IoT hub that this app has access to: its name does not end in azure-devices.net, and HUB_CONNECTION_STRINGS does not have it.`,
      );
    }
    this.#hubs.set(name, hub);
    return hub;
  }
}
