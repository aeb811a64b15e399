import type { ServiceVersion } from './client-options.ts';
import { NotFoundError } from './errors.ts';
import type { DeviceRegistrationState } from './models.ts';
import type { DeleteOptions, GetOptions, QueryOptions } from './operation-options.ts';
import { type PagedQuery, pagedQuery } from './paged-query.ts';
import { ifMatchOf, pageOf, pathOf, requireId, requirePageSize } from './request-parts.ts';
import type { ServiceCaller } from './service-caller.ts';

/**
 * What became of devices that registered. Every method can reject with {@link UnauthorizedError},
 * {@link ForbiddenError}, {@link ThrottledError} and {@link UnavailableError}, and with the reason of its
 * `abortSignal`.
 *
 * Source: the operations `DeviceRegistrationState_…` of the OpenAPI specification.
 */
export class DeviceRegistrationStates {
  readonly #caller: ServiceCaller;
  readonly #serviceVersion: ServiceVersion;

  /** @internal Clients make it. */
  constructor(caller: ServiceCaller, serviceVersion: ServiceVersion) {
    this.#caller = caller;
    this.#serviceVersion = serviceVersion;
  }

  /**
   * Reads a device's registration.
   *
   * @throws {@link NotFoundError} if it never registered.
   */
  async get(registrationId: string, options: GetOptions = {}): Promise<DeviceRegistrationState> {
    const call = { operation: 'deviceRegistrationStates.get', id: registrationId };
    requireId(call, registrationId);
    const response = await this.#caller.call({
      ...call,
      method: 'GET',
      path: this.#path(registrationId),
      options,
      answers: 'object',
    });
    return response.body as DeviceRegistrationState;
  }

  /**
   * Deletes a device's registration record, so that its next registration is a first one. The device stays
   * assigned to its hub, and its enrollment lets it register again.
   *
   * @param registration - a registration id, or a registration state, whose etag `onlyIfUnchanged` then uses.
   * @throws {@link NotFoundError} if there is none; {@link PreconditionFailedError} if it registered again.
   */
  async delete(registration: string | DeviceRegistrationState, options: DeleteOptions = {}): Promise<void> {
    const id = typeof registration === 'string' ? registration : (registration.registrationId ?? '');
    const call = { operation: 'deviceRegistrationStates.delete', id };
    requireId(call, id);
    await this.#caller.call({
      ...call,
      method: 'DELETE',
      path: this.#path(id),
      ifMatch: ifMatchOf(call, registration, options),
      options,
      answers: 'nothing',
      // Gone after a lost answer: this call, or somebody else, did it.
      recogniseRepeatedWrite: async (error) => (error instanceof NotFoundError ? null : undefined),
    });
  }

  /**
   * Lists the registrations of an enrollment group's devices, in no particular order. A page holds 100 unless
   * `byPage({ maxPageSize })` says less; each page is one operation of the instance's quota. Registrations of
   * individual enrollments have no query: read them one by one.
   */
  query(enrollmentGroupId: string, options: QueryOptions = {}): PagedQuery<DeviceRegistrationState> {
    const call = { operation: 'deviceRegistrationStates.query', id: enrollmentGroupId };
    return pagedQuery(async ({ maxPageSize, continuationToken }) => {
      requireId(call, enrollmentGroupId);
      requirePageSize(call, maxPageSize);
      const response = await this.#caller.call({
        ...call,
        method: 'POST',
        path: this.#path(enrollmentGroupId, '/query'),
        maxItemCount: maxPageSize,
        continuation: continuationToken,
        options,
        answers: 'array',
      });
      return pageOf<DeviceRegistrationState>(response);
    });
  }

  #path(id: string, suffix = ''): string {
    return pathOf(`/registrations/${encodeURIComponent(id)}${suffix}`, this.#serviceVersion);
  }
}
