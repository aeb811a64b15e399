import { BULK_LIMIT, type ItemResult, type ManyPlan, runMany } from './bulk-many.ts';
import type { ServiceVersion } from './client-options.ts';
import { type DeviceProvisioningError, NotFoundError, UnavailableError } from './errors.ts';
import type {
  AttestationMechanism,
  BulkOperationMode,
  BulkOperationResult,
  EnrollmentGroup,
  IndividualEnrollment,
} from './models.ts';
import type {
  ConditionalOptions,
  ManyOptions,
  OperationOptions,
  UpdateManyOptions,
} from './operation-options.ts';
import { type BulkItemError, type Named, OwnWrites } from './own-writes.ts';
import { type Page, type PagedQuery, pagedQuery } from './paged-query.ts';
import { redact } from './redaction.ts';
import { ifMatchOf, pageOf, pathOf, requireId, requirePageSize } from './request-parts.ts';
import type { ServiceCaller } from './service-caller.ts';
import { errorOfBulkItem, type FailedCall, refusal } from './service-error.ts';

/** What tells individual enrollments and enrollment groups apart on the wire. */
export interface CollectionKind {
  readonly name: 'individualEnrollments' | 'enrollmentGroups';
  readonly path: '/enrollments' | '/enrollmentGroups';
  readonly idMember: 'registrationId' | 'enrollmentGroupId';
  readonly bulkMember: 'enrollments' | 'enrollmentGroups';
}

/** What the two kinds of enrollment have in common, which is nearly all. */
export class EnrollmentCollection<TEnrollment extends IndividualEnrollment | EnrollmentGroup> {
  readonly #kind: CollectionKind;
  readonly #caller: ServiceCaller;
  readonly #serviceVersion: ServiceVersion;
  readonly #ownWrites: OwnWrites<TEnrollment>;

  constructor(kind: CollectionKind, caller: ServiceCaller, serviceVersion: ServiceVersion) {
    this.#kind = kind;
    this.#caller = caller;
    this.#serviceVersion = serviceVersion;
    this.#ownWrites = new OwnWrites(this);
  }

  async createOrUpdate(enrollment: TEnrollment, options: ConditionalOptions): Promise<TEnrollment> {
    const call = this.#named('createOrUpdate', this.idOf(enrollment));
    this.#refuseUnknownToVersion(call, enrollment);
    const answer = await this.#caller.call({
      ...call,
      method: 'PUT',
      path: this.#path(call),
      body: JSON.stringify(enrollment),
      ifMatch: ifMatchOf(call, enrollment, options),
      abortSignal: options.abortSignal,
      answers: 'object',
      recognise: (error) => this.#ownWrites.recognise(enrollment, error, options),
    });
    return answer.body as TEnrollment;
  }

  async get(id: string, options: OperationOptions): Promise<TEnrollment> {
    const call = this.#named('get', id);
    const answer = await this.#caller.call({
      ...call,
      method: 'GET',
      path: this.#path(call),
      abortSignal: options.abortSignal,
      answers: 'object',
    });
    return answer.body as TEnrollment;
  }

  async delete(item: string | Named, options: ConditionalOptions): Promise<void> {
    const call = this.#named('delete', typeof item === 'string' ? item : this.idOf(item));
    await this.#caller.call({
      ...call,
      method: 'DELETE',
      path: this.#path(call),
      ifMatch: ifMatchOf(call, item, options),
      abortSignal: options.abortSignal,
      answers: 'nothing',
      // Gone after a lost answer: this call, or somebody else, did it.
      recognise: async (error) => (error instanceof NotFoundError ? null : undefined),
    });
  }

  async getAttestationMechanism(id: string, options: OperationOptions): Promise<AttestationMechanism> {
    const call = this.#named('getAttestationMechanism', id);
    const answer = await this.#caller.call({
      ...call,
      method: 'POST',
      path: this.#path(call, '/attestationmechanism'),
      abortSignal: options.abortSignal,
      answers: 'object',
    });
    return answer.body as AttestationMechanism;
  }

  query(query: string, options: OperationOptions): PagedQuery<TEnrollment> {
    const call = { operation: `${this.#kind.name}.query` };
    const body = JSON.stringify({ query });
    return pagedQuery(async ({ maxPageSize, continuationToken }): Promise<Page<TEnrollment>> => {
      requirePageSize(call, maxPageSize);
      const answer = await this.#caller.call({
        ...call,
        method: 'POST',
        path: pathOf(`${this.#kind.path}/query`, this.#serviceVersion),
        body,
        maxItemCount: maxPageSize,
        continuation: continuationToken,
        abortSignal: options.abortSignal,
        answers: 'array',
      });
      return pageOf(answer);
    });
  }

  async runBulkOperation<TError extends BulkItemError>(
    mode: BulkOperationMode,
    items: readonly Named[],
    options: OperationOptions,
    operation = `${this.#kind.name}.runBulkOperation`,
  ): Promise<BulkOperationResult<TError>> {
    this.#refuseBulk({ operation }, mode, items);
    if (items.length === 0) {
      return { isSuccessful: true, errors: [] };
    }
    const body = JSON.stringify({ mode, [this.#kind.bulkMember]: items });
    const answer = await this.#caller.call({
      operation,
      method: 'POST',
      path: pathOf(this.#kind.path, this.#serviceVersion),
      body,
      abortSignal: options.abortSignal,
      answers: 'bulk result',
    });
    const { isSuccessful, errors: said = [] } = answer.body as Partial<BulkOperationResult<TError>>;
    const errors = said.map((error) => withoutSecrets(error, body));
    if (!answer.afterLostAnswer || errors.length === 0) {
      return { isSuccessful: isSuccessful === true, errors };
    }
    const real = await this.#ownWrites.withoutEchoes(errors, mode, items, options);
    return { isSuccessful: real.length === 0, errors: real };
  }

  createMany(items: readonly TEnrollment[], options: ManyOptions): Promise<ItemResult[]> {
    return runMany(items, this.#plan('createMany', 'create', options), options.concurrency);
  }

  updateMany(items: readonly TEnrollment[], options: UpdateManyOptions): Promise<ItemResult[]> {
    if (options.unconditional) {
      const anyVersion = items.map((item) => ({ ...item, etag: '*' }));
      return runMany(anyVersion, this.#plan('updateMany', 'update', options), options.concurrency);
    }
    return runMany(items, this.#plan('updateMany', 'updateIfMatchETag', options), options.concurrency);
  }

  deleteMany(items: readonly (string | Named)[], options: ManyOptions): Promise<ItemResult[]> {
    const keys = items.map((item): Named => {
      const id = typeof item === 'string' ? item : this.idOf(item);
      const etag = typeof item === 'string' ? undefined : item.etag;
      return { [this.#kind.idMember]: id, ...(etag !== undefined && { etag }) };
    });
    return runMany(keys, this.#plan('deleteMany', 'delete', options), options.concurrency);
  }

  idOf(item: Named): string {
    const id = (item as Record<string, unknown>)[this.#kind.idMember];
    return typeof id === 'string' ? id : '';
  }

  #named(method: string, id: string): { operation: string; id: string } {
    const call = { operation: `${this.#kind.name}.${method}`, id };
    requireId(call, id);
    return call;
  }

  #path(call: { id: string }, suffix = ''): string {
    return pathOf(`${this.#kind.path}/${encodeURIComponent(call.id)}${suffix}`, this.#serviceVersion);
  }

  #plan(method: string, mode: BulkOperationMode, options: OperationOptions): ManyPlan<Named> {
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
        const { isSuccessful, errors } = await this.runBulkOperation(mode, items, options, operation);
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

  #refuseBulk(call: FailedCall, mode: BulkOperationMode, items: readonly Named[]): void {
    if (items.length > BULK_LIMIT) {
      throw refusal(
        call,
        `DPS takes ${BULK_LIMIT} items at most. createMany, updateMany and deleteMany take any number.`,
      );
    }
    for (const item of items) {
      this.#refuseUnknownToVersion(call, item);
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

  #refuseUnknownToVersion(call: FailedCall, item: Named): void {
    if (item.credentialPolicyName !== undefined && this.#serviceVersion === '2021-10-01') {
      throw refusal(
        call,
        "credentialPolicyName needs the client option serviceVersion: '2025-07-01-preview'.",
      );
    }
  }
}

function failedWithoutSayingWhat(operation: string): UnavailableError {
  return new UnavailableError(
    `${operation} failed: DPS says that items failed, but not which. Read them before writing them again.`,
    { operation },
  );
}

function withoutSecrets<TError extends BulkItemError>(error: TError, sentBody: string): TError {
  return { ...error, errorStatus: redact(String(error.errorStatus), sentBody) };
}
