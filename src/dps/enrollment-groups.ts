import type { ItemResult } from './bulk-many.ts';
import type { ServiceVersion } from './client-options.ts';
import { type CollectionKind, EnrollmentCollection } from './enrollment-collection.ts';
import type {
  AttestationMechanism,
  BulkOperationResult,
  EnrollmentGroup,
  EnrollmentGroupBulkError,
  EnrollmentGroupBulkOperation,
  EnrollmentGroupKey,
} from './models.ts';
import type {
  ConditionalOptions,
  ManyOptions,
  OperationOptions,
  UpdateManyOptions,
} from './operation-options.ts';
import type { PagedQuery } from './paged-query.ts';
import type { ServiceCaller } from './service-caller.ts';

const KIND: CollectionKind = {
  name: 'enrollmentGroups',
  path: '/enrollmentGroups',
  idMember: 'enrollmentGroupId',
  bulkMember: 'enrollmentGroups',
};

/**
 * Enrollments of many devices by one symmetric key or signing certificate. An instance has room for 100 groups
 * of each kind. Every method can reject with {@link UnauthorizedError}, {@link ForbiddenError},
 * {@link ThrottledError} and {@link UnavailableError}, and with the reason of its `abortSignal`.
 *
 * Source: the operations `EnrollmentGroup_…` of the OpenAPI specification.
 */
export class EnrollmentGroups {
  readonly #collection: EnrollmentCollection<EnrollmentGroup>;

  /** @internal Clients make it. */
  constructor(caller: ServiceCaller, serviceVersion: ServiceVersion) {
    this.#collection = new EnrollmentCollection(KIND, caller, serviceVersion);
  }

  /**
   * Creates a group; with `ifMatch` or `onlyIfUnchanged` replaces one, as a whole.
   *
   * A replacement of a symmetric-key group must carry both keys (see {@link SymmetricKeyAttestation}). If the
   * answer to a creation is lost, the retry's "already exists" is recognised: where the stored group is equal
   * to the given one, that is success.
   *
   * @returns the group as stored, with its etag and, for symmetric keys, both keys.
   * @throws {@link AlreadyExistsError} without `ifMatch`, if the id is taken; {@link PreconditionFailedError}
   * if it was changed; {@link InvalidRequestError} if DPS cannot take it.
   */
  createOrUpdate(group: EnrollmentGroup, options: ConditionalOptions = {}): Promise<EnrollmentGroup> {
    return this.#collection.createOrUpdate(group, options);
  }

  /**
   * Reads a group, without symmetric keys.
   *
   * @throws {@link NotFoundError} if there is none.
   */
  get(enrollmentGroupId: string, options: OperationOptions = {}): Promise<EnrollmentGroup> {
    return this.#collection.get(enrollmentGroupId, options);
  }

  /**
   * Deletes a group. Its devices stay assigned to their hubs, and its registration records remain.
   *
   * @param group - an enrollment group id, or a group, whose etag `onlyIfUnchanged` then uses.
   * @throws {@link NotFoundError} if there is none; {@link PreconditionFailedError} if it was changed.
   */
  delete(group: string | EnrollmentGroupKey, options: ConditionalOptions = {}): Promise<void> {
    return this.#collection.delete(group, options);
  }

  /**
   * Reads the keys of a group's attestation: the only way to symmetric keys after creation. The role Data
   * Reader does not suffice for it.
   *
   * @throws {@link NotFoundError} if there is none.
   */
  getAttestationMechanism(
    enrollmentGroupId: string,
    options: OperationOptions = {},
  ): Promise<AttestationMechanism> {
    return this.#collection.getAttestationMechanism(enrollmentGroupId, options);
  }

  /**
   * Finds groups, without symmetric keys, in no particular order. A page holds 100 unless
   * `byPage({ maxPageSize })` says less; each page is one operation of the instance's quota.
   *
   * @param query - `SELECT *` by default. What else the service takes is not documented.
   * @throws {@link InvalidRequestError} if DPS cannot take the query.
   */
  query(query = 'SELECT *', options: OperationOptions = {}): PagedQuery<EnrollmentGroup> {
    return this.#collection.query(query, options);
  }

  /**
   * Runs one bulk operation on up to ten groups: one operation of the instance's quota. Items that fail are
   * told in the result, by id; the others are done. An empty list sends nothing.
   *
   * After a lost answer, items that the retry finds already done as asked are successes.
   *
   * @throws {@link InvalidRequestError} for more than ten items, and for an `update` of an item without etag,
   * which DPS takes for a creation.
   */
  runBulkOperation(
    { mode, enrollmentGroups }: EnrollmentGroupBulkOperation,
    options: OperationOptions = {},
  ): Promise<BulkOperationResult<EnrollmentGroupBulkError>> {
    return this.#collection.runBulkOperation(mode, enrollmentGroups, options);
  }

  /**
   * Creates any number of groups, ten to a request, several requests at once.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  createMany(groups: readonly EnrollmentGroup[], options: ManyOptions = {}): Promise<ItemResult[]> {
    return this.#collection.createMany(groups, options);
  }

  /**
   * Replaces any number of groups, each on condition of the `etag` it holds (`*` for any version). One without
   * etag is a failed result and is not sent, unless `unconditional` is set.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  updateMany(groups: readonly EnrollmentGroup[], options: UpdateManyOptions = {}): Promise<ItemResult[]> {
    return this.#collection.updateMany(groups, options);
  }

  /**
   * Deletes any number of groups, given by id, or by objects with id and perhaps `etag`.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  deleteMany(
    groups: readonly (string | EnrollmentGroupKey)[],
    options: ManyOptions = {},
  ): Promise<ItemResult[]> {
    return this.#collection.deleteMany(groups, options);
  }
}
