import { bulkLimit, type ManyPlan } from './bulk-many.ts';
import type { ServiceVersion } from './client-options.ts';
import type { KindOnTheWire } from './enrollment-kinds.ts';
import { type DeviceProvisioningError, UnavailableError } from './errors.ts';
import type {
  BulkOperationMode,
  BulkOperationResult,
  EnrollmentGroup,
  IndividualEnrollment,
} from './models.ts';
import type { OperationOptions } from './operation-options.ts';
import type { BulkItemError, Named, OwnWrites } from './own-writes.ts';
import { redact } from './redaction.ts';
import { pathOf, requireId } from './request-parts.ts';
import type { ServiceCaller } from './service-caller.ts';
import { errorOfBulkItem, type FailedCall, refusal } from './service-error.ts';

/** Bulk requests of one kind of enrollment: single ones of ten at most, and the plan for any number. */
export class BulkOperations {
  readonly #kind: KindOnTheWire;
  readonly #caller: ServiceCaller;
  readonly #serviceVersion: ServiceVersion;
  readonly #ownWrites: OwnWrites<IndividualEnrollment | EnrollmentGroup>;

  constructor(
    kind: KindOnTheWire,
    caller: ServiceCaller,
    serviceVersion: ServiceVersion,
    ownWrites: OwnWrites<IndividualEnrollment | EnrollmentGroup>,
  ) {
    this.#kind = kind;
    this.#caller = caller;
    this.#serviceVersion = serviceVersion;
    this.#ownWrites = ownWrites;
  }

  /** Sends one bulk. After a lost response, items that are found done already are successes. */
  async run(
    mode: BulkOperationMode,
    items: readonly Named[],
    options: OperationOptions,
    operation = `${this.#kind.name}.runBulkOperation`,
  ): Promise<BulkOperationResult<BulkItemError>> {
    this.#refuseBulk({ operation }, mode, items);
    if (items.length === 0) {
      return { isSuccessful: true, errors: [] };
    }
    const body = JSON.stringify({ mode, [this.#kind.bulkMember]: items });
    const response = await this.#caller.call({
      operation,
      method: 'POST',
      path: pathOf(this.#kind.path, this.#serviceVersion),
      body,
      options,
      answers: 'bulk result',
    });
    const { isSuccessful, errors: received = [] } = response.body as Partial<
      BulkOperationResult<BulkItemError>
    >;
    const errors = received.map((error) => withoutSecrets(error, body));
    if (!response.afterLostResponse || errors.length === 0) {
      return { isSuccessful: isSuccessful === true, errors };
    }
    const real = await this.#ownWrites.withoutEchoes(errors, mode, items, options);
    return { isSuccessful: real.length === 0, errors: real };
  }

  /** How any number of items is sent, ten to a request. */
  plan(method: string, mode: BulkOperationMode, options: OperationOptions): ManyPlan<Named> {
    const operation = `${this.#kind.name}.${method}`;
    return {
      idOf: (item) => this.idOf(item),
      refuse: (item) => {
        const call = { operation, id: this.idOf(item) };
        try {
          requireId(call, call.id);
          this.#refuseBulk(call, mode, [item]);
          return undefined;
        } catch (error) {
          return error as DeviceProvisioningError;
        }
      },
      refuseDuplicate: (id) =>
        refusal(
          { operation, id },
          'the id came before in the same list; which of the two should win is not said.',
        ),
      runBulk: async (items) => {
        const { isSuccessful, errors } = await this.run(mode, items, options, operation);
        if (!isSuccessful && errors.length === 0) {
          throw failedWithoutSayingWhat(operation);
        }
        return new Map(
          errors.map((error) => {
            const id = this.idOf(error as Named);
            const failed = errorOfBulkItem({ operation, id }, error.errorCode, error.errorStatus);
            return [id.toLowerCase(), failed];
          }),
        );
      },
    };
  }

  idOf(item: Named): string {
    const id = (item as Record<string, unknown>)[this.#kind.idMember];
    return typeof id === 'string' ? id : '';
  }

  /** @throws {@link InvalidRequestError} for members that the client's service version does not know. */
  refuseUnknownToVersion(call: FailedCall, item: Named): void {
    if (item.credentialPolicyName !== undefined && this.#serviceVersion === '2021-10-01') {
      throw refusal(
        call,
        "credentialPolicyName needs the client option serviceVersion: '2025-07-01-preview'.",
      );
    }
  }

  #refuseBulk(call: FailedCall, mode: BulkOperationMode, items: readonly Named[]): void {
    if (items.length > bulkLimit) {
      throw refusal(
        call,
        `DPS takes ${bulkLimit} items at most. createMany, updateMany and deleteMany take any number.`,
      );
    }
    for (const item of items) {
      this.refuseUnknownToVersion(call, item);
      // The live service answers "already exists" to such an update, or creates: it never updates.
      if ((mode === 'update' || mode === 'updateIfMatchETag') && !item.etag) {
        throw refusal(
          call,
          `"${this.idOf(item)}" has no etag, and DPS would take its update for a creation. ` +
            'Send the etag that get or query answered, or "*" as etag to replace any version.',
        );
      }
    }
  }
}

function failedWithoutSayingWhat(operation: string): UnavailableError {
  return new UnavailableError(
    `${operation} failed: DPS says that items failed, but not which. Read them before writing them again.`,
    { operation },
  );
}

function withoutSecrets(error: BulkItemError, sentBody: string): BulkItemError {
  return { ...error, errorStatus: redact(String(error.errorStatus), sentBody) };
}
