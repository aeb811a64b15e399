import { PreconditionFailedError, ThrottledError, UnavailableError } from '../../src/dps/errors.ts';
import type { HubIdentity, HubStatus } from '../../src/hub/hub-identity.ts';
import { type Scheduler, Violation } from './scheduler.ts';
import type { StoredEnrollments } from './simulated-dps.ts';

interface Identity extends HubStatus {
  readonly etag: string;
}

export const simulatedHub = 'hub.azure-devices.net';

/** The identities of the one hub, and the registrations that write to it. */
export class StoredIdentities {
  readonly identities = new Map<string, Identity>();
  registrationsLeft = 0;
  readonly #dps: StoredEnrollments;
  #etags = 0;

  constructor(dps: StoredEnrollments) {
    this.#dps = dps;
  }

  put(deviceId: string, status: HubStatus, ifMatch?: string): void {
    const stored = this.identities.get(deviceId);
    if (ifMatch !== undefined && ifMatch !== stored?.etag) {
      throw new PreconditionFailedError('changed', { operation: 'devices.update', statusCode: 412 });
    }
    this.identities.set(deviceId, { ...status, etag: `i${++this.#etags}` });
  }

  delete(deviceId: string, ifMatch: string): void {
    if (ifMatch !== this.identities.get(deviceId)?.etag) {
      throw new PreconditionFailedError('changed', { operation: 'devices.delete', statusCode: 412 });
    }
    this.identities.delete(deviceId);
  }

  /** Let in now, and assigned later: what was disabled in the hub meanwhile is enabled. */
  register(registrationId: string, time: number): void {
    this.registrationsLeft--;
    const { underWay, registrations } = this.#dps;
    const registration = {
      name: `a registration of ${registrationId}`,
      land: () => {
        underWay.delete(registration);
        this.put(registrationId, { status: 'enabled', statusReason: undefined });
        registrations.set(registrationId, {
          registrationId,
          status: 'assigned',
          assignedHub: simulatedHub,
          deviceId: registrationId,
          etag: `r${this.registrationsLeft}`,
          lastUpdatedDateTimeUtc: new Date(time).toISOString(),
        });
      },
      isCertain: true as const,
    };
    underWay.add(registration);
  }
}

/** The hub as one instance reaches it. */
export class SimulatedHub {
  readonly #scheduler: Scheduler;
  readonly #owner: string;
  readonly #stored: StoredIdentities;
  readonly #dps: StoredEnrollments;

  constructor(scheduler: Scheduler, owner: string, stored: StoredIdentities, dps: StoredEnrollments) {
    this.#scheduler = scheduler;
    this.#owner = owner;
    this.#stored = stored;
    this.#dps = dps;
  }

  get(deviceId: string): Promise<HubIdentity | undefined> {
    const read = () => {
      const found = this.#stored.identities.get(deviceId);
      return found && { ...found, deviceId, whole: {} };
    };
    return this.#scheduler.call(this.#owner, 'reads the identity', read, ({ reject }) => [throttled(reject)]);
  }

  update({ deviceId, etag }: HubIdentity, status: HubStatus): Promise<void> {
    return this.#write(`${status.status === 'enabled' ? 'opens' : 'closes'} the hub`, () =>
      this.#stored.put(deviceId, status, etag),
    );
  }

  delete({ deviceId, etag }: HubIdentity): Promise<void> {
    return this.#write('deletes the identity', () => this.#stored.delete(deviceId, etag));
  }

  #write(name: string, write: () => void): Promise<void> {
    return this.#scheduler.call(this.#owner, name, write, ({ reject }) => [
      throttled(reject),
      {
        name: 'answer lost',
        happen: () => {
          const zombie = {
            name: `${this.#owner}'s ${name}`,
            land: () => {
              this.#dps.underWay.delete(zombie);
              try {
                write();
              } catch (error) {
                if (error instanceof Violation) {
                  throw error;
                }
              }
            },
          };
          this.#dps.underWay.add(zombie);
          reject(new UnavailableError('no answer', { operation: name }));
        },
      },
    ]);
  }
}

function throttled(reject: (error: unknown) => void) {
  const happen = () => reject(new ThrottledError('throttled', { operation: 'any', statusCode: 429 }));
  return { name: '429', happen };
}
