import { isStoredAs } from './enrollment-equality.ts';
import {
  AlreadyExistsError,
  type DeviceProvisioningError,
  NotFoundError,
  PreconditionFailedError,
} from './errors.ts';
import type {
  AttestationMechanism,
  BulkOperationMode,
  EnrollmentGroup,
  IndividualEnrollment,
} from './models.ts';
import type { OperationOptions } from './operation-options.ts';

/** An enrollment, or as much of one as a deletion needs. */
export type Named = {
  etag?: string | undefined;
  attestation?: AttestationMechanism;
  credentialPolicyName?: string;
};

/** The error of a bulk operation's item, besides its id. */
export interface BulkItemError {
  readonly errorCode: number;
  readonly errorStatus: string;
}

/** Where enrollments are read from. */
interface Reader<TEnrollment> {
  idOf(item: Named): string;
  get(id: string, options: OperationOptions): Promise<TEnrollment>;
  getAttestationMechanism(id: string, options: OperationOptions): Promise<AttestationMechanism>;
}

/**
 * Recognises writes of this client's own when they are repeated after a lost answer: a record that "exists
 * already", or that "has changed", and is what was to be written.
 */
export class OwnWrites<TEnrollment extends IndividualEnrollment | EnrollmentGroup> {
  readonly #reader: Reader<TEnrollment>;

  constructor(reader: Reader<TEnrollment>) {
    this.#reader = reader;
  }

  /** What the lost answer of a PUT said, if the error only says that it had succeeded before. */
  async recogniseRepeatedWrite(
    sent: TEnrollment,
    error: DeviceProvisioningError,
    options: OperationOptions,
  ): Promise<TEnrollment | undefined> {
    if (!(error instanceof AlreadyExistsError || error instanceof PreconditionFailedError)) {
      return undefined;
    }
    return this.#readIfStored(sent, options);
  }

  /** Takes out the errors that only say that the lost attempt had done the item already. */
  async withoutEchoes<TError extends BulkItemError>(
    errors: readonly TError[],
    mode: BulkOperationMode,
    items: readonly Named[],
    options: OperationOptions,
  ): Promise<TError[]> {
    const byId = new Map(items.map((item) => [this.#reader.idOf(item).toLowerCase(), item]));
    const real: TError[] = [];
    for (const error of errors) {
      const item = byId.get(this.#reader.idOf(error as Named).toLowerCase());
      if (!item || !(await this.#isEcho(error, mode, item, options))) {
        real.push(error);
      }
    }
    return real;
  }

  async #isEcho(
    error: BulkItemError,
    mode: BulkOperationMode,
    item: Named,
    options: OperationOptions,
  ): Promise<boolean> {
    const status = Math.floor(error.errorCode / 1000);
    if (mode === 'delete') {
      return status === 404;
    }
    if (status !== 409 && status !== 412) {
      return false;
    }
    return (await this.#readIfStored(item as TEnrollment, options)) !== undefined;
  }

  async #readIfStored(sent: TEnrollment, options: OperationOptions): Promise<TEnrollment | undefined> {
    const id = this.#reader.idOf(sent);
    // Reading is of the same call, but its responses are not the caller's.
    const { abortSignal, tracingOptions } = options;
    try {
      const stored = await this.#reader.get(id, { abortSignal, tracingOptions });
      if (sent.attestation.type !== 'symmetricKey') {
        return isStoredAs(sent, stored) ? stored : undefined;
      }
      // Keys are in the answer of a PUT, so they belong in this one, too.
      const attestation = await this.#reader.getAttestationMechanism(id, { abortSignal, tracingOptions });
      return isStoredAs(sent, stored, attestation) ? { ...stored, attestation } : undefined;
    } catch (error) {
      if (error instanceof NotFoundError) {
        return undefined;
      }
      throw error;
    }
  }
}
