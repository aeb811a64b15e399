import type { ItemResult } from './bulk-many.ts';
import type { ServiceVersion } from './client-options.ts';
import { type CollectionKind, EnrollmentCollection } from './enrollment-collection.ts';
import type {
  AttestationMechanism,
  BulkOperationResult,
  IndividualEnrollment,
  IndividualEnrollmentBulkError,
  IndividualEnrollmentBulkOperation,
  IndividualEnrollmentKey,
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
  name: 'individualEnrollments',
  path: '/enrollments',
  idMember: 'registrationId',
  bulkMember: 'enrollments',
};

/**
 * Enrollments of single devices. Every method can reject with {@link UnauthorizedError},
 * {@link ForbiddenError}, {@link ThrottledError} and {@link UnavailableError}, and with the reason of its
 * `abortSignal`.
 *
 * Source: the operations `IndividualEnrollment_…` of the OpenAPI specification.
 */
export class IndividualEnrollments {
  readonly #collection: EnrollmentCollection<IndividualEnrollment>;

  /** @internal Clients make it. */
  constructor(caller: ServiceCaller, serviceVersion: ServiceVersion) {
    this.#collection = new EnrollmentCollection(KIND, caller, serviceVersion);
  }

  /**
   * Creates an enrollment; with `ifMatch` or `onlyIfUnchanged` replaces one, as a whole.
   *
   * A replacement of a symmetric-key enrollment must carry both keys (see {@link SymmetricKeyAttestation}).
   * If the answer to a creation is lost, the retry's "already exists" is recognised: where the stored
   * enrollment is equal to the given one, that is success.
   *
   * @returns the enrollment as stored, with its etag and, for symmetric keys, both keys.
   * @throws {@link AlreadyExistsError} without `ifMatch`, if the id is taken; {@link PreconditionFailedError}
   * if it was changed; {@link InvalidRequestError} if DPS cannot take it.
   */
  createOrUpdate(
    enrollment: IndividualEnrollment,
    options: ConditionalOptions = {},
  ): Promise<IndividualEnrollment> {
    return this.#collection.createOrUpdate(enrollment, options);
  }

  /**
   * Reads an enrollment, with the device's registration state, without symmetric keys.
   *
   * @throws {@link NotFoundError} if there is none.
   */
  get(registrationId: string, options: OperationOptions = {}): Promise<IndividualEnrollment> {
    return this.#collection.get(registrationId, options);
  }

  /**
   * Deletes an enrollment. A device that is assigned to a hub stays there: disable it there, too. What becomes
   * of its registration record is not documented; delete it with `deviceRegistrationStates`.
   *
   * @param enrollment - a registration id, or an enrollment, whose etag `onlyIfUnchanged` then uses.
   * @throws {@link NotFoundError} if there is none; {@link PreconditionFailedError} if it was changed.
   */
  delete(enrollment: string | IndividualEnrollmentKey, options: ConditionalOptions = {}): Promise<void> {
    return this.#collection.delete(enrollment, options);
  }

  /**
   * Reads the keys of an enrollment's attestation: the only way to symmetric keys after creation. The role
   * Data Reader does not suffice for it.
   *
   * @throws {@link NotFoundError} if there is none.
   */
  getAttestationMechanism(
    registrationId: string,
    options: OperationOptions = {},
  ): Promise<AttestationMechanism> {
    return this.#collection.getAttestationMechanism(registrationId, options);
  }

  /**
   * Finds enrollments, without registration states and symmetric keys, in no particular order. A page holds
   * 100 unless `byPage({ maxPageSize })` says less; each page is one operation of the instance's quota.
   * Writes may take a moment to be found.
   *
   * @param query - `SELECT *` by default. What else the service takes is not documented.
   * @throws {@link InvalidRequestError} if DPS cannot take the query.
   */
  query(query = 'SELECT *', options: OperationOptions = {}): PagedQuery<IndividualEnrollment> {
    return this.#collection.query(query, options);
  }

  /**
   * Runs one bulk operation on up to ten enrollments: one operation of the instance's quota. Items that fail
   * are told in the result, by id; the others are done. An empty list sends nothing.
   *
   * After a lost answer, items that the retry finds already done as asked are successes.
   *
   * @throws {@link InvalidRequestError} for more than ten items, and for an `update` of an item without etag,
   * which DPS takes for a creation.
   */
  runBulkOperation(
    { mode, enrollments }: IndividualEnrollmentBulkOperation,
    options: OperationOptions = {},
  ): Promise<BulkOperationResult<IndividualEnrollmentBulkError>> {
    return this.#collection.runBulkOperation(mode, enrollments, options);
  }

  /**
   * Creates any number of enrollments, ten to a request, several requests at once.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  createMany(enrollments: readonly IndividualEnrollment[], options: ManyOptions = {}): Promise<ItemResult[]> {
    return this.#collection.createMany(enrollments, options);
  }

  /**
   * Replaces any number of enrollments, each on condition of the `etag` it holds (`*` for any version). One
   * without etag is a failed result and is not sent, unless `unconditional` is set.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  updateMany(
    enrollments: readonly IndividualEnrollment[],
    options: UpdateManyOptions = {},
  ): Promise<ItemResult[]> {
    return this.#collection.updateMany(enrollments, options);
  }

  /**
   * Deletes any number of enrollments, given by id, or by objects with id and perhaps `etag`.
   *
   * @returns a result for each, in the given order. A failure is a result; only `abortSignal` rejects.
   */
  deleteMany(
    enrollments: readonly (string | IndividualEnrollmentKey)[],
    options: ManyOptions = {},
  ): Promise<ItemResult[]> {
    return this.#collection.deleteMany(enrollments, options);
  }
}
