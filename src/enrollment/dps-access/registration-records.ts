import type { DeviceProvisioningClient } from '../../dps/client.ts';
import { InvalidRequestError, NotFoundError, PreconditionFailedError } from '../../dps/errors.ts';
import { ifFound } from '../../dps/if-found.ts';
import type { DeviceRegistrationState } from '../../dps/models.ts';
import { type Instant, parseInstant } from '../../events/instant.ts';
import { type Attempt, StateChangedError } from './reconciler.ts';
import { RetryLaterError } from './retry-later-error.ts';
import type { ThrottledDps } from './throttled-dps.ts';

export type RegistrationAccess = {
  readonly deviceRegistrationStates: Pick<
    DeviceProvisioningClient['deviceRegistrationStates'],
    'get' | 'delete' | 'query'
  >;
};

export interface RecordsPage {
  readonly records: readonly DeviceRegistrationState[];
  /** Absent at the end. */
  readonly continuation?: string;
}

interface PageSettings {
  readonly continuationToken?: string;
  readonly maxPageSize?: number;
}

type Call = Pick<Attempt, 'deadline' | 'isWanted'>;

const conflictsAtMost = 8;

/** What devices have registered: read, and deleted where an event says so. */
export class RegistrationRecords {
  readonly #client: RegistrationAccess;
  readonly #throttledDps: Pick<ThrottledDps, 'call'>;

  constructor(client: RegistrationAccess, throttledDps: Pick<ThrottledDps, 'call'>) {
    this.#client = client;
    this.#throttledDps = throttledDps;
  }

  get(id: string, call: Call): Promise<DeviceRegistrationState | undefined> {
    return this.#call(call, 'read', () => ifFound(this.#client.deviceRegistrationStates.get(id)));
  }

  /** Deletes a record unless the device has registered since `notAfter`. */
  async remove(record: DeviceRegistrationState, notAfter: Instant, call: Call): Promise<void> {
    const id = record.registrationId ?? '';
    let current: DeviceRegistrationState | undefined = record;
    for (let conflicts = 0; conflicts < conflictsAtMost; conflicts++) {
      const updated = parseInstant(current?.lastUpdatedDateTimeUtc ?? '');
      if (!current || (updated !== undefined && updated > notAfter)) {
        return;
      }
      const options = current.etag === undefined ? {} : { ifMatch: current.etag };
      const isDeleted = await this.#call(call, 'write', async () => {
        try {
          await this.#client.deviceRegistrationStates.delete(id, options);
          return true;
        } catch (error) {
          if (error instanceof PreconditionFailedError || error instanceof NotFoundError) {
            return false;
          }
          throw error;
        }
      });
      if (isDeleted) {
        return;
      }
      current = await this.get(id, call);
    }
    throw new RetryLaterError('The registration record changes too often to be deleted.');
  }

  /** Up to 100 of a group's, in no order. */
  async firstPage(enrollmentGroupId: string, call: Call): Promise<readonly DeviceRegistrationState[]> {
    const page = await this.#page(enrollmentGroupId, {}, call);
    return page.records;
  }

  /** The page of a group's records that a token names, or the first. DPS takes tokens for a while only. */
  async page(
    enrollmentGroupId: string,
    continuation: string | undefined,
    maxPageSize: number,
    call: Call,
  ): Promise<RecordsPage | 'expired'> {
    const settings = continuation === undefined ? {} : { continuationToken: continuation };
    try {
      return await this.#page(enrollmentGroupId, { ...settings, maxPageSize }, call);
    } catch (error) {
      if (error instanceof InvalidRequestError && continuation !== undefined) {
        return 'expired';
      }
      throw error;
    }
  }

  #page(enrollmentGroupId: string, settings: PageSettings, call: Call): Promise<RecordsPage> {
    return this.#call(call, 'read', async () => {
      const pages = this.#client.deviceRegistrationStates.query(enrollmentGroupId).byPage(settings);
      const page = await ifFound(pages.next());
      if (!page || page.done) {
        return { records: [] };
      }
      const { continuationToken: continuation } = page.value;
      return { records: page.value, ...(continuation === undefined ? {} : { continuation }) };
    });
  }

  /** False if the device has registered since the record was read: what it names now has to be looked at first. */
  delete({ registrationId = '', etag }: DeviceRegistrationState, call: Call): Promise<boolean> {
    return this.#call(call, 'write', async () => {
      const options = etag === undefined ? {} : { ifMatch: etag };
      try {
        await ifFound(this.#client.deviceRegistrationStates.delete(registrationId, options));
        return true;
      } catch (error) {
        if (error instanceof PreconditionFailedError) {
          return false;
        }
        throw error;
      }
    });
  }

  async #call<T>(
    { deadline, isWanted }: Call,
    access: 'read' | 'write',
    operation: () => Promise<T>,
  ): Promise<T> {
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
