import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { isStoredAs } from '../../dps/enrollment-equality.ts';
import { AlreadyExistsError, NotFoundError, PreconditionFailedError } from '../../dps/errors.ts';
import { ifFound } from '../../dps/if-found.ts';
import type { AttestationMechanism, EnrollmentGroup, IndividualEnrollment } from '../../dps/models.ts';
import type { SymmetricKeyData } from '../../events/manufacturing-event.ts';
import type { DesiredState } from '../ledger/desired-state.ts';
import type { SubjectRef, SubjectState } from '../ledger/subject-state.ts';
import type { Access } from './circuit-breaker.ts';
import { denyEnrollment, isDenying } from './deny-enrollment.ts';
import { DpsRejectedError, rejectable } from './dps-rejected-error.ts';
import { type EnrollmentWriter, isUnknown, type WriteResult } from './enrollment-writer.ts';
import { contentHash, type RemoteEnrollment } from './remote-enrollment.ts';
import { RetryLaterError } from './retry-later-error.ts';
import type { ThrottledDps } from './throttled-dps.ts';

type Enrollment = IndividualEnrollment | EnrollmentGroup;

/** What the reconciler needs of the DPS client. */
export type EnrollmentReads = {
  readonly individualEnrollments: Pick<
    DeviceProvisioningClient['individualEnrollments'],
    'get' | 'getAttestationMechanism'
  >;
  readonly enrollmentGroups: Pick<
    DeviceProvisioningClient['enrollmentGroups'],
    'get' | 'getAttestationMechanism' | 'createOrUpdate' | 'delete'
  >;
};

/** One attempt of a holder to make DPS agree. */
export interface Attempt {
  readonly subject: SubjectRef;
  readonly remote: RemoteEnrollment;
  /** Milliseconds since 1970: how long to wait for tokens, and for DPS to recover. */
  readonly deadline: number;
  /** The keys that a definition brought, where its message is at hand. */
  readonly suppliedKeys: SymmetricKeyData | undefined;
  readonly closed: SubjectState['closed'];
  /** DPS has taken no definition of it yet. */
  readonly wasNeverAccepted: boolean;
  /**
   * Asked before every call: false once what should be has changed. What newer events have told DPS is so never
   * overwritten, since they are in the ledger before they are in DPS.
   */
  readonly isWanted: () => Promise<boolean>;
  /** Remembers what a hold is about to do, before it is done. Rejects with a StateChangedError. */
  readonly rememberClosing: (closed: SubjectState['closed']) => Promise<void>;
}

/** An attempt whose write others wait for, until it comes. */
interface Expected extends Attempt {
  readonly writes?: () => void;
}

/** What should be has changed since it was read: decide again. */
export class StateChangedError extends Error {
  override name = 'StateChangedError';
}

/** What DPS shows of a device or batch that no event has defined. */
export type Shown = 'enabled' | 'disabled' | 'absent';

/** A write that meets others' writes so often is left to a later attempt. */
const conflictsAtMost = 8;

/** Makes DPS agree with what should be. Every step may be repeated: a crash between two of them does no harm. */
export class Reconciler {
  readonly #client: EnrollmentReads;
  readonly #throttledDps: Pick<ThrottledDps, 'call'>;
  readonly #writer: Pick<EnrollmentWriter, 'write' | 'expect'>;

  constructor(
    client: EnrollmentReads,
    throttledDps: Pick<ThrottledDps, 'call'>,
    writer: Pick<EnrollmentWriter, 'write' | 'expect'>,
  ) {
    this.#client = client;
    this.#throttledDps = throttledDps;
    this.#writer = writer;
  }

  /** Resolves to what DPS shows, where no event has defined what it should hold. Retired groups are `GroupRetirement`'s. */
  async apply(attempt: Attempt, desired: DesiredState): Promise<Shown | undefined> {
    const writes = this.#writer.expect();
    try {
      return await this.#apply({ ...attempt, writes }, desired);
    } finally {
      writes();
    }
  }

  async #apply(attempt: Expected, desired: DesiredState): Promise<Shown | undefined> {
    switch (desired.kind) {
      case 'enrollment':
        await this.#ensure(attempt, withKeys(desired.enrollment, attempt.suppliedKeys));
        return undefined;
      case 'group':
        await this.#ensure(attempt, withKeys(desired.group, attempt.suppliedKeys));
        return undefined;
      case 'blocked':
        await this.#ensureDenied(attempt, desired.leafCertificate);
        return undefined;
      case 'no-enrollment':
        await this.#ensureAbsent(attempt);
        return undefined;
      case 'member':
        await (attempt.remote.mayExist ? this.#ensureAbsent(attempt) : undefined);
        return undefined;
      case 'shut':
        return this.#shut(attempt, desired.leafCertificate);
      case 'reopened':
        return this.#reopen(attempt);
      case 'no-profile':
        throw new RetryLaterError(
          `No enrollment profile fits the product ${desired.product} any more. Put it back into the profiles file.`,
        );
      default:
        return undefined;
    }
  }

  async #ensure(
    attempt: Expected,
    wanted: Enrollment,
    isStored: (actual: Enrollment) => boolean = (actual) => isStoredAs(wanted, actual),
  ): Promise<void> {
    const { remote, subject } = attempt;
    const content = contentHash(withoutKeys(wanted));
    const isSymmetric = wanted.attestation.type === 'symmetricKey';
    const suppliesKeys = wanted.attestation.symmetricKey?.primaryKey !== undefined;
    // What was only begun most often is not there. A creation finds out, and costs a tenth of reading.
    let guessesAbsent = attempt.wasNeverAccepted && remote.known === undefined;
    for (let conflicts = 0; conflicts < conflictsAtMost; ) {
      if (remote.isKnownToHold(content) && !suppliesKeys) {
        return;
      }
      if (!remote.mayExist || remote.isKnownAbsent || guessesAbsent) {
        guessesAbsent = false;
        const created = await this.#create(attempt, wanted);
        if (created.kind === 'done') {
          return remote.wrote({ content, ...etagOf(created) });
        }
        remote.forget();
        conflicts++;
        continue;
      }
      // Reading costs no more than writing where keys would have to be read first.
      const readsAnyway = isSymmetric && !suppliesKeys && remote.isRememberedToHold(content);
      let etag = readsAnyway ? undefined : remote.etag;
      let storedType: string | undefined;
      if (etag === undefined) {
        const actual = await this.#get(attempt);
        if (!actual) {
          remote.missing();
          continue;
        }
        storedType = actual.attestation.type;
        if (!suppliesKeys && !remote.mustWriteOver(actual.etag) && isStored(actual)) {
          await confirmed(attempt);
          return remote.found({ content, ...etagOf(actual) });
        }
        etag = actual.etag ?? '*';
        remote.read(actual.etag);
      }
      const keepsKeys = isSymmetric && !suppliesKeys && storedType !== 'x509' && storedType !== 'tpm';
      const mechanism = keepsKeys ? await this.#mechanism(attempt) : undefined;
      const next = mechanism?.type === 'symmetricKey' ? { ...wanted, attestation: mechanism } : wanted;
      const updated = await this.#update(attempt, next, etag);
      if (updated.kind === 'done') {
        return remote.wrote({ content, ...etagOf(updated) });
      }
      remote.forget();
      conflicts++;
    }
    throw new RetryLaterError(`Too many concurrent updates of ${subject.kind} ${subject.id} in DPS.`);
  }

  async #ensureAbsent(attempt: Expected): Promise<void> {
    const { remote, subject } = attempt;
    for (let conflicts = 0; conflicts < conflictsAtMost; conflicts++) {
      if (remote.isConfirmedAbsent) {
        return;
      }
      let etag = remote.etag;
      if (etag === undefined) {
        const actual = await this.#get(attempt);
        if (!actual) {
          return remote.absent();
        }
        etag = actual.etag ?? '*';
      }
      const deleted = await this.#delete(attempt, etag);
      if (deleted.kind === 'done' || deleted.kind === 'absent') {
        return remote.absent();
      }
      remote.forget();
    }
    throw new RetryLaterError(`Too many concurrent updates of ${subject.kind} ${subject.id} in DPS.`);
  }

  /** A disabled individual enrollment keeps a member of a group out: DPS looks there first. */
  async #ensureDenied(attempt: Expected, leafCertificate: string | undefined): Promise<void> {
    const wanted = denyEnrollment(attempt.subject.id, leafCertificate);
    try {
      await this.#ensure(
        attempt,
        wanted,
        (actual) => 'registrationId' in actual && isDenying(actual, wanted),
      );
    } catch (error) {
      // A certificate that DPS will not have must not leave the device free to come in.
      if (!(error instanceof DpsRejectedError) || leafCertificate === undefined) {
        throw error;
      }
      await this.#ensureDenied(attempt, undefined);
    }
  }

  /** Disables what DPS has, all else of it kept. A device of which DPS has nothing is denied as a member would be. */
  async #shut(attempt: Expected, leafCertificate: string | undefined): Promise<Shown> {
    const { remote, subject, closed } = attempt;
    const actual = await this.#get(attempt);
    if (!actual) {
      remote.missing();
      if (subject.kind === 'batch') {
        return 'absent';
      }
    }
    const isDisabled = actual?.provisioningStatus === 'disabled';
    if (!actual || (closed === 'created' && isDisabled)) {
      await attempt.rememberClosing('created');
      await this.#ensureDenied(attempt, leafCertificate);
      return 'disabled';
    }
    if (!isDisabled || remote.mustWriteOver(actual.etag)) {
      await attempt.rememberClosing(isDisabled ? closed : 'disabled');
      await this.#switch(attempt, actual, 'disabled');
      return 'disabled';
    }
    await confirmed(attempt);
    remote.found(etagOf(actual));
    return 'disabled';
  }

  /** Undoes what a hold did, and no more: what somebody else disabled stays so. */
  async #reopen(attempt: Expected): Promise<Shown> {
    const { remote, closed } = attempt;
    const actual = await this.#get(attempt);
    if (!actual) {
      remote.absent();
      return 'absent';
    }
    const isDisabled = actual.provisioningStatus === 'disabled';
    if (closed === 'created' && isDisabled) {
      remote.found(etagOf(actual));
      await this.#ensureAbsent(attempt);
      return 'absent';
    }
    const shown = isDisabled && closed !== 'disabled' ? 'disabled' : 'enabled';
    if ((isDisabled && closed === 'disabled') || remote.mustWriteOver(actual.etag)) {
      await this.#switch(attempt, actual, shown);
      return shown;
    }
    await confirmed(attempt);
    remote.found(etagOf(actual));
    return shown;
  }

  /** A PUT replaces everything, and GET carries no keys: they are read and sent again, or the devices are locked out. */
  async #switch(
    attempt: Expected,
    actual: Enrollment,
    provisioningStatus: 'enabled' | 'disabled',
  ): Promise<void> {
    const { etag = '*', createdDateTimeUtc: _, lastUpdatedDateTimeUtc: __, ...rest } = actual;
    const stored = 'registrationState' in rest ? { ...rest, registrationState: undefined } : rest;
    const mechanism =
      actual.attestation.type === 'symmetricKey' ? await this.#mechanism(attempt) : actual.attestation;
    const wanted = { ...stored, provisioningStatus, ...(mechanism ? { attestation: mechanism } : {}) };
    const updated = mechanism ? await this.#update(attempt, wanted as Enrollment, etag) : undefined;
    if (updated?.kind !== 'done') {
      attempt.remote.forget();
      throw new StateChangedError(`${attempt.subject.kind} ${attempt.subject.id} has changed in DPS.`);
    }
    attempt.remote.wrote(etagOf(updated));
  }

  /** Closes a group before it is emptied: no device may come in meanwhile. Resolves to its etag. */
  async disableGroup(attempt: Expected, actual: EnrollmentGroup): Promise<string> {
    if (actual.provisioningStatus === 'disabled') {
      return actual.etag ?? '*';
    }
    await this.#switch(attempt, actual, 'disabled');
    return attempt.remote.etag ?? '*';
  }

  async group(attempt: Expected): Promise<EnrollmentGroup | undefined> {
    const found = await this.#get(attempt);
    return found && 'enrollmentGroupId' in found ? found : undefined;
  }

  /** Of an empty, disabled group. A device that registers meanwhile finds nothing that would let it in. */
  async removeGroup(attempt: Expected, etag: string): Promise<void> {
    const { id } = attempt.subject;
    try {
      const deletion = () => ifFound(this.#client.enrollmentGroups.delete(id, { ifMatch: etag }));
      const remove = () => noting(attempt, etag, deletion());
      await this.#call(attempt, remove, 'write');
    } catch (error) {
      if (error instanceof PreconditionFailedError) {
        throw new StateChangedError(`Enrollment group ${id} has changed in DPS.`);
      }
      throw error;
    }
    attempt.remote.absent();
  }

  #get(attempt: Expected): Promise<Enrollment | undefined> {
    const { kind, id } = attempt.subject;
    if (kind === 'batch') {
      return this.#call(attempt, () => ifFound(this.#client.enrollmentGroups.get(id)));
    }
    return this.#call(attempt, () => ifFound(this.#client.individualEnrollments.get(id)));
  }

  #mechanism(attempt: Expected): Promise<AttestationMechanism | undefined> {
    const { kind, id } = attempt.subject;
    const collection = kind === 'device' ? 'individualEnrollments' : 'enrollmentGroups';
    return this.#call(attempt, () => ifFound(this.#client[collection].getAttestationMechanism(id)));
  }

  #create(attempt: Expected, wanted: Enrollment): Promise<WriteResult> {
    if ('registrationId' in wanted) {
      return this.#packed(attempt, { mode: 'create', enrollment: wanted });
    }
    const access = wanted.attestation.type === 'x509' ? 'create-x509-group' : 'create-symmetric-key-group';
    return this.#putGroup(attempt, wanted, {}, access);
  }

  #update(attempt: Expected, wanted: Enrollment, etag: string): Promise<WriteResult> {
    return 'registrationId' in wanted
      ? this.#packed(attempt, { mode: 'update', enrollment: wanted, etag })
      : this.#putGroup(attempt, wanted, { ifMatch: etag }, 'write');
  }

  #delete(attempt: Expected, etag: string): Promise<WriteResult> {
    return this.#packed(attempt, { mode: 'delete', registrationId: attempt.subject.id, etag });
  }

  async #packed(
    { deadline, isWanted, remote, writes }: Expected,
    write: Parameters<EnrollmentWriter['write']>[0],
  ): Promise<WriteResult> {
    writes?.();
    const etag = write.mode === 'create' ? undefined : write.etag;
    const onUnknown = () => remote.lostResponse(etag);
    const writing = this.#writer.write(write, { deadline, isWanted, onUnknown });
    const result = await rejectable(writing);
    if (result.kind === 'unwanted') {
      throw new StateChangedError('What should be has changed.');
    }
    return result;
  }

  async #putGroup(
    attempt: Expected,
    wanted: EnrollmentGroup,
    options: { readonly ifMatch?: string },
    access: Access,
  ): Promise<WriteResult> {
    const put = () =>
      noting(attempt, options.ifMatch, this.#client.enrollmentGroups.createOrUpdate(wanted, options));
    try {
      return { kind: 'done', ...etagOf(await rejectable(this.#call(attempt, put, access))) };
    } catch (error) {
      const isConflict =
        error instanceof PreconditionFailedError ||
        error instanceof AlreadyExistsError ||
        error instanceof NotFoundError;
      if (isConflict) {
        return { kind: 'changed' };
      }
      throw error;
    }
  }

  async #call<T>(attempt: Expected, operation: () => Promise<T>, access: Access = 'read'): Promise<T> {
    const { deadline, isWanted } = attempt;
    const result = await this.#throttledDps.call(
      'pipeline',
      deadline,
      async () => [await operation()] as const,
      {
        access,
        isWanted,
      },
    );
    if (!result) {
      throw new StateChangedError('What should be has changed.');
    }
    return result[0];
  }
}

/** Between reading what is and saying so. */
async function confirmed({ isWanted }: Attempt): Promise<void> {
  if (!(await isWanted())) {
    throw new StateChangedError('What should be has changed.');
  }
}

async function noting<T>({ remote }: Attempt, etag: string | undefined, writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    if (isUnknown(error)) {
      remote.lostResponse(etag);
    }
    throw error;
  }
}

function etagOf({ etag }: { readonly etag?: string | undefined }): { readonly etag?: string } {
  return etag === undefined ? {} : { etag };
}

function withKeys<T extends Enrollment>(enrollment: T, keys: SymmetricKeyData | undefined): T {
  if (enrollment.attestation.type !== 'symmetricKey' || !keys?.primaryKey || !keys.secondaryKey) {
    return enrollment;
  }
  const { primaryKey, secondaryKey } = keys;
  return { ...enrollment, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } } };
}

function withoutKeys(enrollment: Enrollment): Enrollment {
  return enrollment.attestation.type === 'symmetricKey'
    ? { ...enrollment, attestation: { type: 'symmetricKey' } }
    : enrollment;
}
