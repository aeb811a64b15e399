import { isObject, type JsonObject } from '../json-input.ts';
import type { EmulatorState } from '../state.ts';
import { HubError, type HubErrorName } from './errors.ts';
import {
  etagOf,
  identityKey,
  isDeviceId,
  readIdentity,
  type StoredIdentity,
  type StoredTwin,
  type WritableIdentity,
} from './identity.ts';

const maxBulk = 100;

interface BulkError {
  readonly deviceId: string;
  readonly errorCode: HubErrorName;
  readonly errorStatus: string;
}

export interface BulkResult {
  readonly isSuccessful: boolean;
  readonly errors: readonly BulkError[];
  readonly warnings: readonly never[];
}

/** The identity registry of one linked hub. */
export class HubRegistry {
  readonly hub: string;
  readonly #state: EmulatorState;
  readonly #now: () => number;

  constructor(hub: string, state: EmulatorState, now: () => number) {
    this.hub = hub.toLowerCase();
    this.#state = state;
    this.#now = now;
  }

  /** By device id. */
  all(): StoredIdentity[] {
    return [...this.#state.identities.values()]
      .filter(({ hub }) => hub === this.hub)
      .sort((left, right) => (left.deviceId < right.deviceId ? -1 : 1));
  }

  find(deviceId: string): StoredIdentity | undefined {
    return this.#state.identities.get(identityKey(this.hub, deviceId));
  }

  /** @throws HubError DeviceNotFound */
  get(deviceId: string): StoredIdentity {
    const found = this.find(deviceId);
    if (found === undefined) {
      throw new HubError('DeviceNotFound');
    }
    return found;
  }

  /**
   * Without `ifMatch` it creates, with it it replaces.
   * @throws HubError DeviceAlreadyExists, DeviceNotFound, PreconditionFailed, ArgumentInvalid
   */
  put(deviceId: string, body: JsonObject, ifMatch: string | undefined): StoredIdentity {
    const written = readIdentity(body);
    if (ifMatch !== undefined) {
      return this.write(written, this.#matching(deviceId, ifMatch));
    }
    if (this.find(deviceId) !== undefined) {
      throw new HubError('DeviceAlreadyExists', `A device with ID '${deviceId}' is already registered.`);
    }
    return this.create(deviceId, written, { version: 1, tags: {}, desired: {} });
  }

  /** @throws HubError DeviceNotFound, PreconditionFailed */
  delete(deviceId: string, ifMatch: string | undefined): void {
    const { key } = this.#matching(deviceId, ifMatch ?? '*');
    this.#state.commit({ delete: 'identity', key });
  }

  create(deviceId: string, written: WritableIdentity, twin: StoredTwin): StoredIdentity {
    if (!isDeviceId(deviceId)) {
      throw new HubError('ArgumentInvalid', 'The device id is not valid.');
    }
    // Hundreds of nanoseconds since year 1, as .NET counts: another one for each life of a device.
    const ticks = 621_355_968_000_000_000n + BigInt(this.#now()) * 10_000n + this.#state.nextGeneration();
    const identity: StoredIdentity = {
      ...written,
      key: identityKey(this.hub, deviceId),
      hub: this.hub,
      deviceId,
      generationId: String(ticks),
      version: 1,
      statusUpdatedTime: '0001-01-01T00:00:00',
      twin,
    };
    this.#state.commit({ put: 'identity', identity });
    return identity;
  }

  write(written: WritableIdentity, before: StoredIdentity, twin = before.twin): StoredIdentity {
    const isSame = written.status === before.status;
    const identity: StoredIdentity = {
      ...before,
      ...written,
      version: before.version + 1,
      statusUpdatedTime: isSame ? before.statusUpdatedTime : new Date(this.#now()).toISOString(),
      twin,
    };
    this.#state.commit({ put: 'identity', identity });
    return identity;
  }

  /**
   * Each item by itself: what is good is done, whatever becomes of the others.
   * @throws HubError TooManyDevices, DeviceDefinedMultipleTimes, ArgumentInvalid
   */
  bulk(items: unknown): BulkResult {
    if (!Array.isArray(items) || !items.every(isObject)) {
      throw new HubError('ArgumentInvalid', 'The body must be an array of devices.');
    }
    if (items.length > maxBulk) {
      throw new HubError('TooManyDevices');
    }
    const ids = items.map(({ id }) => (typeof id === 'string' ? id : ''));
    if (new Set(ids).size < ids.length) {
      throw new HubError('DeviceDefinedMultipleTimes');
    }
    const errors = items.flatMap((item, index): BulkError[] => {
      const deviceId = ids[index] ?? '';
      try {
        this.#runItem(deviceId, item);
        return [];
      } catch (error) {
        if (!(error instanceof HubError)) {
          throw error;
        }
        return [{ deviceId, errorCode: error.code, errorStatus: error.message }];
      }
    });
    return { isSuccessful: errors.length === 0, errors, warnings: [] };
  }

  #runItem(deviceId: string, item: JsonObject): void {
    const etag = item.eTag ?? item.etag;
    const ifMatch = typeof etag === 'string' ? etag : undefined;
    switch (String(item.importMode).toLowerCase()) {
      case 'create':
        this.put(deviceId, item, undefined);
        return;
      case 'update':
        this.put(deviceId, item, '*');
        return;
      case 'updateifmatchetag':
        this.put(deviceId, item, ifMatch ?? '');
        return;
      case 'delete':
        this.delete(deviceId, '*');
        return;
      case 'deleteifmatchetag':
        this.delete(deviceId, ifMatch ?? '');
        return;
      default:
        throw new HubError('ArgumentInvalid', 'importMode is not offered here.');
    }
  }

  /** Clients quote etags, or do not. */
  #matching(deviceId: string, ifMatch: string): StoredIdentity {
    const found = this.get(deviceId);
    const wanted = /^"(.*)"$/.exec(ifMatch.trim())?.[1] ?? ifMatch.trim();
    if (wanted !== '*' && wanted !== etagOf(found)) {
      throw new HubError('PreconditionFailed');
    }
    return found;
  }
}
