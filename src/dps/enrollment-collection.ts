import { type ItemResult, runMany } from './bulk-many.ts';
import { BulkOperations } from './bulk-operations.ts';
import type { ServiceVersion } from './client-options.ts';
import type {
  EnrollmentGroupKind,
  EnrollmentKind,
  IndividualEnrollmentKind,
  KindOnTheWire,
} from './enrollment-kinds.ts';
import { NotFoundError } from './errors.ts';
import type { AttestationMechanism, BulkOperationResult } from './models.ts';
import type {
  CreateManyOptions,
  CreateOrUpdateOptions,
  DeleteManyOptions,
  DeleteOptions,
  GetAttestationMechanismOptions,
  GetOptions,
  QueryOptions,
  RunBulkOperationOptions,
  UpdateManyOptions,
} from './operation-options.ts';
import { type Named, OwnWrites } from './own-writes.ts';
import { type Page, type PagedQuery, pagedQuery } from './paged-query.ts';
import { ifMatchOf, pageOf, pathOf, requireId, requirePageSize } from './request-parts.ts';
import type { ServiceCaller } from './service-caller.ts';

/** Enrollments of single devices. Source: the operations `IndividualEnrollment_…` of the OpenAPI specification. */
export type IndividualEnrollments = EnrollmentCollection<IndividualEnrollmentKind>;

/**
 * Enrollments of many devices by one symmetric key or signing certificate. An instance has room for 100 groups
 * of each kind. Source: the operations `EnrollmentGroup_…` of the OpenAPI specification.
 */
export type EnrollmentGroups = EnrollmentCollection<EnrollmentGroupKind>;

/**
 * The enrollments of one kind: individual enrollments, known by their registration id, or enrollment groups.
 * Every method can reject with {@link UnauthorizedError}, {@link ForbiddenError}, {@link ThrottledError} and
 * {@link UnavailableError}, and with the reason of its `abortSignal`.
 */
export class EnrollmentCollection<TKind extends EnrollmentKind> {
  readonly #kind: KindOnTheWire;
  readonly #caller: ServiceCaller;
  readonly #serviceVersion: ServiceVersion;
  readonly #ownWrites: OwnWrites<TKind['enrollment']>;
  readonly #bulks: BulkOperations;

  /** @internal Clients make it. */
  constructor(kind: KindOnTheWire, caller: ServiceCaller, serviceVersion: ServiceVersion) {
    this.#kind = kind;
    this.#caller = caller;
    this.#serviceVersion = serviceVersion;
    this.#ownWrites = new OwnWrites({
      idOf: (item) => this.#bulks.idOf(item),
      get: (id, options) => this.get(id, options),
      getAttestationMechanism: (id, options) => this.getAttestationMechanism(id, options),
    });
    this.#bulks = new BulkOperations(kind, caller, serviceVersion, this.#ownWrites);
  }

  /**
   * Creates an enrollment; with `ifMatch` or `onlyIfUnchanged` replaces one, as a whole.
   *
   * A replacement by symmetric keys must carry both keys (see {@link SymmetricKeyAttestation}). If the response
   * to a creation is lost, the retry's "already exists" is recognised: where the stored enrollment is equal to
   * the given one, that is success.
   *
   * @returns the enrollment as stored, with its etag and, for symmetric keys, both keys.
   * @throws {@link AlreadyExistsError} without `ifMatch`, if the id is taken; {@link PreconditionFailedError}
   * if it was changed; {@link InvalidRequestError} if DPS cannot take it.
   */
  async createOrUpdate(
    enrollment: TKind['enrollment'],
    options: CreateOrUpdateOptions = {},
  ): Promise<TKind['enrollment']> {
    const call = this.#named('createOrUpdate', this.#bulks.idOf(enrollment));
    this.#bulks.refuseUnknownToVersion(call, enrollment);
    const response = await this.#caller.call({
      ...call,
      method: 'PUT',
      path: this.#path(call),
      body: JSON.stringify(enrollment),
      ifMatch: ifMatchOf(call, enrollment, options),
      options,
      answers: 'object',
      recogniseRepeatedWrite: (error) => this.#ownWrites.recogniseRepeatedWrite(enrollment, error, options),
    });
    return response.body as TKind['enrollment'];
  }

  /**
   * Reads an enrollment, without symmetric keys; an individual one with the device's registration state.
   *
   * @param id - the registration id, or the enrollment group id.
   * @throws {@link NotFoundError} if it does not exist.
   */
  async get(id: string, options: GetOptions = {}): Promise<TKind['enrollment']> {
    const call = this.#named('get', id);
    const response = await this.#caller.call({
      ...call,
      method: 'GET',
      path: this.#path(call),
      options,
      answers: 'object',
    });
    return response.body as TKind['enrollment'];
  }

  /**
   * Deletes an enrollment. Devices that are assigned to a hub stay there: disable them there, too. A group's
   * registration records remain; what becomes of the record of an individual enrollment is not documented,
   * delete it with `deviceRegistrationStates`.
   *
   * @param enrollment - an id, or an enrollment, whose etag `onlyIfUnchanged` then uses.
   * @throws {@link NotFoundError} if it does not exist; {@link PreconditionFailedError} if it was changed.
   */
  async delete(enrollment: string | TKind['key'], options: DeleteOptions = {}): Promise<void> {
    const id = typeof enrollment === 'string' ? enrollment : this.#bulks.idOf(enrollment);
    const call = this.#named('delete', id);
    await this.#caller.call({
      ...call,
      method: 'DELETE',
      path: this.#path(call),
      ifMatch: ifMatchOf(call, enrollment, options),
      options,
      answers: 'nothing',
      // Gone after a lost response: this call, or somebody else, did it.
      recogniseRepeatedWrite: async (error) => (error instanceof NotFoundError ? null : undefined),
    });
  }

  /**
   * Reads the keys of an enrollment's attestation: the only way to symmetric keys after creation. The role
   * Data Reader does not suffice for it.
   *
   * @param id - the registration id, or the enrollment group id.
   * @throws {@link NotFoundError} if the enrollment does not exist.
   */
  async getAttestationMechanism(
    id: string,
    options: GetAttestationMechanismOptions = {},
  ): Promise<AttestationMechanism> {
    const call = this.#named('getAttestationMechanism', id);
    const response = await this.#caller.call({
      ...call,
      method: 'POST',
      path: this.#path(call, '/attestationmechanism'),
      options,
      answers: 'object',
    });
    return response.body as AttestationMechanism;
  }

  /**
   * Finds enrollments, without registration states and symmetric keys, in no particular order. A page holds
   * 100 unless `byPage({ maxPageSize })` says less; each page is one operation of the instance's quota.
   * Writes may take a moment to be found.
   *
   * @param query - `SELECT *` by default. What else the service takes is not documented.
   * @throws {@link InvalidRequestError} if DPS cannot take the query.
   */
  query(query = 'SELECT *', options: QueryOptions = {}): PagedQuery<TKind['enrollment']> {
    const call = { operation: `${this.#kind.name}.query` };
    const body = JSON.stringify({ query });
    return pagedQuery(async ({ maxPageSize, continuationToken }): Promise<Page<TKind['enrollment']>> => {
      requirePageSize(call, maxPageSize);
      const response = await this.#caller.call({
        ...call,
        method: 'POST',
        path: pathOf(`${this.#kind.path}/query`, this.#serviceVersion),
        body,
        maxItemCount: maxPageSize,
        continuation: continuationToken,
        options,
        answers: 'array',
      });
      return pageOf(response);
    });
  }

  /**
   * Runs one bulk operation on up to ten enrollments: one operation of the instance's quota. Items that fail
   * are listed in the result, by id; the others are done. An empty list sends nothing.
   *
   * After a lost response, items that the retry finds already done as requested are successes.
   *
   * @throws {@link InvalidRequestError} for more than ten items, and for an `update` of an item without etag,
   * which DPS takes for a creation.
   */
  async runBulkOperation(
    operation: TKind['bulkOperation'],
    options: RunBulkOperationOptions = {},
  ): Promise<BulkOperationResult<TKind['bulkError']>> {
    const items = 'enrollments' in operation ? operation.enrollments : operation.enrollmentGroups;
    const result: BulkOperationResult<unknown> = await this.#bulks.run(operation.mode, items, options);
    return result as BulkOperationResult<TKind['bulkError']>;
  }

  /**
   * Creates any number of enrollments, ten to a request, several requests at once.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  createMany(
    enrollments: readonly TKind['enrollment'][],
    options: CreateManyOptions = {},
  ): Promise<ItemResult[]> {
    return runMany(enrollments, this.#bulks.plan('createMany', 'create', options), options.concurrency);
  }

  /**
   * Replaces any number of enrollments, each on condition of the `etag` it holds (`*` for any version). One
   * without etag is a failed result and is not sent, unless `unconditional` is set.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  updateMany(
    enrollments: readonly TKind['enrollment'][],
    options: UpdateManyOptions = {},
  ): Promise<ItemResult[]> {
    const items = options.unconditional ? enrollments.map((item) => ({ ...item, etag: '*' })) : enrollments;
    const mode = options.unconditional ? 'update' : 'updateIfMatchETag';
    return runMany(items, this.#bulks.plan('updateMany', mode, options), options.concurrency);
  }

  /**
   * Deletes any number of enrollments, given by id, or by objects with id and perhaps `etag`.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  deleteMany(
    enrollments: readonly (string | TKind['key'])[],
    options: DeleteManyOptions = {},
  ): Promise<ItemResult[]> {
    const keys = enrollments.map((item): Named => {
      const id = typeof item === 'string' ? item : this.#bulks.idOf(item);
      const etag = typeof item === 'string' ? undefined : item.etag;
      return { [this.#kind.idMember]: id, ...(etag !== undefined && { etag }) };
    });
    return runMany(keys, this.#bulks.plan('deleteMany', 'delete', options), options.concurrency);
  }

  #named(method: string, id: string): { operation: string; id: string } {
    const call = { operation: `${this.#kind.name}.${method}`, id };
    requireId(call, id);
    return call;
  }

  #path(call: { id: string }, suffix = ''): string {
    return pathOf(`${this.#kind.path}/${encodeURIComponent(call.id)}${suffix}`, this.#serviceVersion);
  }
}
