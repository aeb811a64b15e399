import type { Clock } from '../clock.ts';
import type { DeviceProvisioningClient } from '../dps/client.ts';
import { isStoredAs } from '../dps/enrollment-equality.ts';
import { InvalidRequestError } from '../dps/errors.ts';
import { ifFound } from '../dps/if-found.ts';
import type {
  AttestationMechanism,
  DeviceRegistrationState,
  EnrollmentGroup,
  IndividualEnrollment,
} from '../dps/models.ts';
import { type Instant, parseInstant } from '../events/instant.ts';
import type { SymmetricKeyData } from '../events/manufacturing-event.ts';
import { blockingEnrollment, isBlocking } from './blocking-enrollment.ts';
import type { DesiredState } from './desired-state.ts';
import type { DpsGate } from './dps-gate.ts';
import type { EnrollmentWriter } from './enrollment-writer.ts';
import { LaterError } from './later-error.ts';
import { raced, refusable } from './write-answers.ts';

/** What the caller knows that DPS cannot tell. */
export interface Effort {
  /** Milliseconds since 1970: how long to wait for tokens, and for DPS to recover, before giving the event back. */
  readonly deadline: number;
  /** An enrollment of ours may be there, though it should not. */
  readonly mayExist: boolean;
  /** Most likely one is there, so that it is read first. Else it is created first: ten to an operation. */
  readonly isThere: boolean;
  /** The keys that a definition brought, where its message is at hand. */
  readonly suppliedKeys?: SymmetricKeyData | undefined;
  /**
   * Throws if what should be has changed since. Asked between reading what is and replacing it by etag: what newer events
   * have told DPS is so never overwritten, since they are in the ledger before they are in DPS.
   */
  readonly confirm?: () => Promise<void>;
}

/** A write that loses the race against others so often is left to a later attempt. */
const racesToLose = 8;

/** Makes DPS agree with what should be. Every step may be repeated: a crash between two of them does no harm. */
export class Reconciler {
  readonly #client: DeviceProvisioningClient;
  readonly #gate: DpsGate;
  readonly #writer: EnrollmentWriter;
  readonly #clock: Clock;

  constructor(client: DeviceProvisioningClient, gate: DpsGate, writer: EnrollmentWriter, clock: Clock) {
    this.#client = client;
    this.#gate = gate;
    this.#writer = writer;
    this.#clock = clock;
  }

  /** Brings the enrollment or group of `id` to the desired state. Retired groups are `GroupRetirement`'s affair. */
  async apply(id: string, desired: DesiredState, effort: Effort): Promise<void> {
    switch (desired.kind) {
      case 'enrollment':
        return this.#ensureEnrollment(desired.enrollment, effort);
      case 'no-enrollment':
        return this.#removeEnrollment(id, effort);
      case 'member':
        return effort.mayExist ? this.#removeEnrollment(id, effort) : undefined;
      case 'blocked':
        return this.#ensureBlocked(id, desired.leafCertificate, effort);
      case 'group':
        return this.#ensureGroup(desired.group, effort);
      case 'no-profile':
        throw new LaterError(
          `No enrollment profile fits the product ${desired.product} any more. Put it back into the profiles file.`,
        );
      default:
        return;
    }
  }

  registrationState(id: string, deadline: number): Promise<DeviceRegistrationState | undefined> {
    return this.#read(deadline, () => ifFound(this.#client.deviceRegistrationStates.get(id)));
  }

  /** Deletes a registration record unless the device has registered since. */
  async removeRegistration(
    record: DeviceRegistrationState,
    notAfter: Instant,
    deadline: number,
  ): Promise<void> {
    let current: DeviceRegistrationState | undefined = record;
    for (let race = 0; race < racesToLose; race++) {
      const id: string = current?.registrationId ?? '';
      const updated = parseInstant(current?.lastUpdatedDateTimeUtc ?? '');
      if (!current || (updated !== undefined && updated > notAfter)) return;
      const ifMatch = current.etag;
      const outcome = await this.#write(deadline, () =>
        raced(this.#client.deviceRegistrationStates.delete(id, ifMatch === undefined ? {} : { ifMatch })),
      );
      if (outcome !== 'raced') return;
      current = await this.registrationState(id, deadline);
    }
    throw new LaterError('The registration record changes too often to be deleted.');
  }

  async #ensureEnrollment(desired: IndividualEnrollment, effort: Effort): Promise<void> {
    const wanted = withKeys(desired, effort.suppliedKeys);
    for (let race = 0; race < racesToLose; race++) {
      if (!effort.isThere || race > 0) {
        if ((await refusable(this.#writer.create(wanted, effort.deadline))) === 'created') return;
      }
      const actual = await this.#individual(wanted.registrationId, effort.deadline);
      if (!actual) {
        if ((await refusable(this.#writer.create(wanted, effort.deadline))) === 'created') return;
        continue;
      }
      if ((await this.#bringInLine('individualEnrollments', wanted, actual, effort)) === 'done') return;
    }
    throw new LaterError('The enrollment changes too often to be updated.');
  }

  async #ensureGroup(desired: EnrollmentGroup, effort: Effort): Promise<void> {
    const wanted = withKeys(desired, effort.suppliedKeys);
    for (let race = 0; race < racesToLose; race++) {
      const actual = await this.group(wanted.enrollmentGroupId, effort.deadline);
      if (actual) {
        if ((await this.#bringInLine('enrollmentGroups', wanted, actual, effort)) === 'done') return;
        continue;
      }
      const access = wanted.attestation.type === 'x509' ? 'create-x509-group' : 'create-symmetric-key-group';
      const create = () => raced(refusable(this.#client.enrollmentGroups.createOrUpdate(wanted)));
      const created = await this.#gate.call('pipeline', effort.deadline, create, access);
      if (created !== 'raced') return;
    }
    throw new LaterError('The enrollment group changes too often to be updated.');
  }

  /** A PUT replaces everything, and GET carries no keys: they are read and sent again, or the device is locked out. */
  async #bringInLine<T extends IndividualEnrollment | EnrollmentGroup>(
    collection: 'individualEnrollments' | 'enrollmentGroups',
    wanted: T,
    actual: T,
    effort: Effort,
  ): Promise<'done' | 'raced'> {
    const id = 'registrationId' in wanted ? wanted.registrationId : wanted.enrollmentGroupId;
    const bothSymmetric =
      wanted.attestation.type === 'symmetricKey' && actual.attestation.type === 'symmetricKey';
    const suppliesKeys = wanted.attestation.symmetricKey?.primaryKey !== undefined;
    if (!(bothSymmetric && suppliesKeys) && isStoredAs(wanted, actual)) return 'done';
    let next = wanted;
    if (bothSymmetric) {
      const mechanism = await this.#mechanism(collection, id, effort.deadline);
      if (!mechanism) return 'raced';
      if (isStoredAs(wanted, actual, mechanism)) return 'done';
      if (!suppliesKeys) next = { ...wanted, attestation: mechanism };
    }
    const ifMatch = actual.etag ?? '*';
    await effort.confirm?.();
    const written = await this.#write(effort.deadline, () => {
      // One collection or the other, each with its own type of item.
      const put =
        'registrationId' in next
          ? this.#client.individualEnrollments.createOrUpdate(next, { ifMatch })
          : this.#client.enrollmentGroups.createOrUpdate(next, { ifMatch });
      return raced(refusable(put as Promise<unknown>));
    });
    return written === 'raced' ? 'raced' : 'done';
  }

  /** A disabled individual enrollment keeps a member of a group out: DPS looks there first. */
  async #ensureBlocked(id: string, leafCertificate: string | undefined, effort: Effort): Promise<void> {
    const wanted = blockingEnrollment(id, leafCertificate);
    try {
      for (let race = 0; race < racesToLose; race++) {
        const actual = await this.#individual(id, effort.deadline);
        if (actual && isBlocking(actual, wanted)) return;
        if (!actual) {
          if ((await this.#writer.create(wanted, effort.deadline)) === 'created') return;
          continue;
        }
        const ifMatch = actual.etag ?? '*';
        await effort.confirm?.();
        const written = await this.#write(effort.deadline, () =>
          raced(this.#client.individualEnrollments.createOrUpdate(wanted, { ifMatch })),
        );
        if (written !== 'raced') return;
      }
    } catch (error) {
      // A certificate that DPS will not have must not leave the device free to come in.
      if (!(error instanceof InvalidRequestError) || leafCertificate === undefined) throw error;
      return this.#ensureBlocked(id, undefined, effort);
    }
    throw new LaterError('The blocking enrollment changes too often to be updated.');
  }

  async #removeEnrollment(id: string, effort: Effort): Promise<void> {
    await this.#write(effort.deadline, () => absentIsFine(this.#client.individualEnrollments.delete(id)));
  }

  #individual(id: string, deadline: number): Promise<IndividualEnrollment | undefined> {
    return this.#read(deadline, () => ifFound(this.#client.individualEnrollments.get(id)));
  }

  group(id: string, deadline: number): Promise<EnrollmentGroup | undefined> {
    return this.#read(deadline, () => ifFound(this.#client.enrollmentGroups.get(id)));
  }

  #mechanism(
    collection: 'individualEnrollments' | 'enrollmentGroups',
    id: string,
    deadline: number,
  ): Promise<AttestationMechanism | undefined> {
    return this.#read(deadline, () => ifFound(this.#client[collection].getAttestationMechanism(id)));
  }

  /** Closes a group before it is emptied: no device may come in meanwhile. */
  async disableGroup(actual: EnrollmentGroup, deadline: number): Promise<void> {
    if (actual.provisioningStatus === 'disabled') return;
    const { etag: _, createdDateTimeUtc: __, lastUpdatedDateTimeUtc: ___, ...rest } = actual;
    await this.#ensureGroup(
      { ...rest, provisioningStatus: 'disabled' },
      { deadline, mayExist: true, isThere: true },
    );
  }

  async removeGroup(id: string, deadline: number): Promise<void> {
    await this.#write(deadline, () => absentIsFine(this.#client.enrollmentGroups.delete(id)));
  }

  async registrationsOf(
    enrollmentGroupId: string,
    deadline: number,
  ): Promise<readonly DeviceRegistrationState[]> {
    return this.#read(deadline, async () => {
      const pages = this.#client.deviceRegistrationStates.query(enrollmentGroupId).byPage();
      const first = await pages.next();
      return first.done ? [] : first.value;
    });
  }

  async deleteRegistration(id: string, deadline: number): Promise<void> {
    await this.#write(deadline, () => absentIsFine(this.#client.deviceRegistrationStates.delete(id)));
  }

  now(): number {
    return this.#clock.now().getTime();
  }

  #read<T>(deadline: number, operation: () => Promise<T>): Promise<T> {
    return this.#gate.call('pipeline', deadline, operation, 'read');
  }

  #write<T>(deadline: number, operation: () => Promise<T>): Promise<T> {
    return this.#gate.call('pipeline', deadline, operation, 'write');
  }
}

function withKeys<T extends IndividualEnrollment | EnrollmentGroup>(
  enrollment: T,
  keys: SymmetricKeyData | undefined,
): T {
  if (enrollment.attestation.type !== 'symmetricKey' || !keys?.primaryKey || !keys.secondaryKey)
    return enrollment;
  const { primaryKey, secondaryKey } = keys;
  return { ...enrollment, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } } };
}

async function absentIsFine(deleting: Promise<void>): Promise<void> {
  await ifFound(deleting);
}
