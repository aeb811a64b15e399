import type { StoredAttestation } from './attestation.ts';
import type { EnrollmentKind } from './enrollment-kinds.ts';
import type { StoredIdentity } from './hub/identity.ts';
import { OrderedCollection } from './ordered-collection.ts';

/**
 * An enrollment, kept as the JSON text that answers queries: GET and queries are then a matter of copying text, and a
 * million of them fit into memory. It is parsed again only when a device registers or the enrollment changes.
 */
export interface StoredEnrollment {
  readonly key: string;
  readonly sequence: number;
  readonly etag: string;
  readonly text: string;
  /** Where `registrationState` goes into the text. */
  readonly stateAt: number;
  readonly attestation: StoredAttestation;
}

export interface StoredRegistration {
  readonly key: string;
  readonly sequence: number;
  readonly registrationId: string;
  /** Key of the group whose registrations it is listed with. */
  readonly groupKey: string | undefined;
  readonly createdDateTimeUtc: string;
  readonly lastUpdatedDateTimeUtc: string;
  readonly etag: string;
  readonly status: 'assigned' | 'failed' | 'disabled';
  readonly substatus: Substatus | undefined;
  /** Remembered over a failed or disabled attempt: the device still is where it was. */
  readonly assignedHub: string | undefined;
  readonly deviceId: string | undefined;
  readonly errorCode: number | undefined;
  readonly errorMessage: string | undefined;
  /** JSON text that the allocation webhook returned. */
  readonly payload: string | undefined;
}

export type Substatus =
  | 'initialAssignment'
  | 'deviceDataMigrated'
  | 'deviceDataReset'
  | 'reprovisionedToInitialAssignment';

export interface LinkedHub {
  readonly hostName: string;
  readonly allocationWeight: number;
  readonly applyAllocationPolicy: boolean;
  /** For `geoLatency`: how far the hub is from the devices. */
  readonly latencyMs: number;
}

export type Right =
  | 'ServiceConfig'
  | 'EnrollmentRead'
  | 'EnrollmentWrite'
  | 'RegistrationStatusRead'
  | 'RegistrationStatusWrite'
  | 'DeviceConnect';

export interface Policy {
  readonly keyName: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly rights: readonly Right[];
}

/** What the control plane sets. */
export interface Configuration {
  readonly hubs: readonly LinkedHub[];
  readonly policies: readonly Policy[];
  /** Verified authorities by name: DER in base64. */
  readonly certificates: Readonly<Record<string, string>>;
}

/** A change, as it is applied and as a journal keeps it. */
export type Change =
  | { readonly put: 'individual' | 'group'; readonly enrollment: StoredEnrollment }
  | { readonly delete: 'individual' | 'group' | 'registration'; readonly key: string }
  | { readonly put: 'registration'; readonly registration: StoredRegistration }
  | { readonly put: 'identity'; readonly identity: StoredIdentity }
  | { readonly delete: 'identity'; readonly key: string }
  | { readonly configure: Configuration }
  | { readonly reset: true };

/** Everything the emulator remembers. All changes go through `commit`, which writes them down first if there is a journal. */
export class EmulatorState {
  readonly individual = new OrderedCollection<StoredEnrollment>();
  readonly group = new OrderedCollection<StoredEnrollment>();
  readonly registrations = new OrderedCollection<StoredRegistration>();
  /** Of devices in the linked hubs, by key. */
  readonly identities = new Map<string, StoredIdentity>();
  readonly #initial: Configuration;
  readonly #byGroup = new Map<string, OrderedCollection<StoredRegistration>>();
  #configuration: Configuration;
  #lastSequence = 0;
  #generations = 0n;
  #writeDown: (change: Change) => void = () => {};

  constructor(initial: Configuration) {
    this.#initial = initial;
    this.#configuration = initial;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  set journal(writeDown: (change: Change) => void) {
    this.#writeDown = writeDown;
  }

  enrollments(kind: EnrollmentKind): OrderedCollection<StoredEnrollment> {
    return this[kind.name];
  }

  registrationsOf(groupKey: string): OrderedCollection<StoredRegistration> {
    return this.#byGroup.get(groupKey) ?? new OrderedCollection();
  }

  nextSequence(): number {
    return this.#lastSequence + 1;
  }

  /** Two devices that are made in the same millisecond differ in it. */
  nextGeneration(): bigint {
    this.#generations += 1n;
    return this.#generations;
  }

  commit(change: Change): void {
    this.#writeDown(change);
    this.apply(change);
  }

  /** Applies a change that is written down already. */
  apply(change: Change): void {
    if ('reset' in change) {
      this.#reset();
    } else if ('configure' in change) {
      this.#configuration = change.configure;
    } else if ('delete' in change) {
      this.#delete(change.delete, change.key);
    } else if (change.put === 'identity') {
      this.identities.set(change.identity.key, change.identity);
    } else if (change.put === 'registration') {
      this.#putRegistration(change.registration);
    } else {
      this[change.put].put(change.enrollment);
      this.#lastSequence = Math.max(this.#lastSequence, change.enrollment.sequence);
    }
  }

  /** The changes that make this state from nothing. */
  *snapshot(): Generator<Change> {
    yield { configure: this.#configuration };
    for (const put of ['individual', 'group'] as const) {
      for (const enrollment of inOrder(this[put])) {
        yield { put, enrollment };
      }
    }
    for (const registration of inOrder(this.registrations)) {
      yield { put: 'registration', registration };
    }
    for (const identity of this.identities.values()) {
      yield { put: 'identity', identity };
    }
  }

  #reset(): void {
    this.individual.clear();
    this.group.clear();
    this.registrations.clear();
    this.identities.clear();
    this.#byGroup.clear();
    this.#configuration = this.#initial;
  }

  #delete(what: 'individual' | 'group' | 'registration' | 'identity', key: string): void {
    if (what === 'identity') {
      this.identities.delete(key);
    } else if (what === 'registration') {
      this.#deleteRegistration(key);
    } else {
      this[what].delete(key);
    }
  }

  #putRegistration(registration: StoredRegistration): void {
    const before = this.registrations.get(registration.key);
    if (before !== undefined && before.sequence !== registration.sequence) {
      this.#deleteRegistration(registration.key);
    }
    this.registrations.put(registration);
    this.#lastSequence = Math.max(this.#lastSequence, registration.sequence);
    if (registration.groupKey === undefined) {
      return;
    }
    const group = this.#byGroup.get(registration.groupKey) ?? new OrderedCollection<StoredRegistration>();
    this.#byGroup.set(registration.groupKey, group);
    group.put(registration);
  }

  #deleteRegistration(key: string): void {
    const before = this.registrations.get(key);
    if (before === undefined) {
      return;
    }
    this.registrations.delete(key);
    if (before.groupKey !== undefined) {
      this.#byGroup.get(before.groupKey)?.delete(key);
    }
  }
}

function inOrder<Item extends { readonly key: string; readonly sequence: number }>(
  collection: OrderedCollection<Item>,
): Item[] {
  return collection.newest(collection.size).reverse();
}
