import {
  AlreadyExistsError,
  InvalidRequestError,
  NotFoundError,
  PreconditionFailedError,
  ThrottledError,
  UnavailableError,
} from '../../src/dps/errors.ts';
import type {
  AttestationMechanism,
  DeviceRegistrationState,
  EnrollmentGroup,
  IndividualEnrollment,
} from '../../src/dps/models.ts';
import { type Scheduler, Violation } from './scheduler.ts';

type Enrollment = IndividualEnrollment | EnrollmentGroup;

/** What DPS holds. Enrollments are kept with their keys; reading leaves those out. */
export class StoredEnrollments {
  readonly enrollments = new Map<string, Enrollment>();
  readonly registrations = new Map<string, DeviceRegistrationState>();
  /** Writes that nobody waits for any more, and that may still be carried out. */
  readonly underWay = new Set<{ readonly name: string; readonly isCertain?: true; land(): void }>();
  /** Devices that were ever scrapped may get new keys. */
  readonly mayGetNewKeys = new Set<string>();
  operations = 0;
  #etags = 0;
  #keys = 0;

  get(id: string): Enrollment {
    const stored = this.enrollments.get(id);
    if (!stored) {
      throw new NotFoundError('not found', { operation: 'get', statusCode: 404 });
    }
    const type = stored.attestation.type;
    return copyOf(type === 'symmetricKey' ? { ...stored, attestation: { type } } : stored);
  }

  mechanism(id: string): AttestationMechanism {
    this.get(id);
    return copyOf(this.enrollments.get(id)?.attestation ?? { type: 'none' }) as AttestationMechanism;
  }

  put(id: string, enrollment: Enrollment, ifMatch: string | undefined): Enrollment {
    const stored = this.enrollments.get(id);
    if (JSON.stringify(enrollment).includes('"bad":true')) {
      throw new InvalidRequestError('bad', { operation: 'put', statusCode: 400, errorCode: 400001 });
    }
    if (ifMatch === undefined && stored) {
      throw new AlreadyExistsError('exists', { operation: 'put', statusCode: 409 });
    }
    if (ifMatch !== undefined && !stored) {
      throw new NotFoundError('not found', { operation: 'put', statusCode: 404 });
    }
    if (ifMatch !== undefined && ifMatch !== stored?.etag) {
      throw new PreconditionFailedError('changed', { operation: 'put', statusCode: 412 });
    }
    const next = copyOf({ ...enrollment, etag: `e${++this.#etags}` });
    if (next.attestation.type === 'symmetricKey') {
      this.#giveKeys(id, next, stored);
    }
    this.enrollments.set(id, next);
    return copyOf(next);
  }

  delete(id: string, ifMatch: string | undefined): void {
    const stored = this.enrollments.get(id);
    if (!stored) {
      throw new NotFoundError('not found', { operation: 'delete', statusCode: 404 });
    }
    if (ifMatch !== undefined && ifMatch !== stored.etag) {
      throw new PreconditionFailedError('changed', { operation: 'delete', statusCode: 412 });
    }
    this.enrollments.delete(id);
  }

  /** Whatever is sent without keys gets new ones, on an update, too: the harder reading. */
  #giveKeys(id: string, next: Enrollment, stored: Enrollment | undefined): void {
    if (next.attestation.type !== 'symmetricKey' || next.attestation.symmetricKey?.primaryKey) {
      return;
    }
    if (stored?.attestation.type === 'symmetricKey' && !this.mayGetNewKeys.has(id)) {
      throw new Violation(`new keys for ${id}, which has some`);
    }
    const key = `generated-${++this.#keys}`;
    next.attestation = { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } };
  }
}

interface PageSettings {
  readonly continuationToken?: string;
  readonly maxPageSize?: number;
}

/** DPS as one instance reaches it. */
export class SimulatedDps {
  readonly #scheduler: Scheduler;
  readonly #owner: string;
  readonly #stored: StoredEnrollments;

  constructor(scheduler: Scheduler, owner: string, stored: StoredEnrollments) {
    this.#scheduler = scheduler;
    this.#owner = owner;
    this.#stored = stored;
  }

  readonly individualEnrollments = {
    get: (id: string) =>
      this.#read('reads the enrollment', () => this.#stored.get(id) as IndividualEnrollment),
    getAttestationMechanism: (id: string) => this.#read('reads keys', () => this.#stored.mechanism(id)),
    createOrUpdate: (enrollment: IndividualEnrollment, { ifMatch }: { ifMatch?: string } = {}) =>
      this.#write(ifMatch === undefined ? 'creates' : 'updates', () =>
        this.#stored.put(enrollment.registrationId, enrollment, ifMatch),
      ) as Promise<IndividualEnrollment>,
    delete: (item: string | { registrationId: string }, { ifMatch }: { ifMatch?: string } = {}) =>
      this.#write('deletes', () =>
        this.#stored.delete(typeof item === 'string' ? item : item.registrationId, ifMatch),
      ),
    runBulkOperation: ({
      mode,
      enrollments,
    }: {
      mode: string;
      enrollments: readonly { registrationId: string; etag?: string }[];
    }) =>
      this.#write(`${mode}s in bulk`, () => {
        const errors = enrollments.flatMap(({ etag, ...item }) => {
          try {
            if (mode === 'delete') {
              this.#stored.delete(item.registrationId, etag);
            } else {
              this.#stored.put(
                item.registrationId,
                item as IndividualEnrollment,
                mode === 'create' ? undefined : etag,
              );
            }
            return [];
          } catch (error) {
            if (error instanceof Violation) {
              throw error;
            }
            const { statusCode = 500, message } = error as { statusCode?: number; message: string };
            return [
              {
                registrationId: item.registrationId,
                errorCode: statusCode * 1_000 + 1,
                errorStatus: message,
              },
            ];
          }
        });
        return { isSuccessful: errors.length === 0, errors };
      }),
  };

  readonly enrollmentGroups = {
    get: (id: string) => this.#read('reads the group', () => this.#stored.get(id) as EnrollmentGroup),
    getAttestationMechanism: (id: string) => this.#read('reads keys', () => this.#stored.mechanism(id)),
    createOrUpdate: (group: EnrollmentGroup, { ifMatch }: { ifMatch?: string } = {}) =>
      this.#write(ifMatch === undefined ? 'creates' : 'updates', () =>
        this.#stored.put(group.enrollmentGroupId, group, ifMatch),
      ) as Promise<EnrollmentGroup>,
    delete: (item: string | { enrollmentGroupId: string }, { ifMatch }: { ifMatch?: string } = {}) =>
      this.#write('deletes', () =>
        this.#stored.delete(typeof item === 'string' ? item : item.enrollmentGroupId, ifMatch),
      ),
  };

  readonly deviceRegistrationStates = {
    get: (id: string) =>
      this.#read('reads the registration', () => {
        const found = this.#stored.registrations.get(id);
        if (!found) {
          throw new NotFoundError('not found', { operation: 'get', statusCode: 404 });
        }
        return copyOf(found);
      }),
    delete: (id: string, { ifMatch }: { ifMatch?: string } = {}) =>
      this.#write('deletes a registration', () => {
        const stored = this.#stored.registrations.get(id);
        if (stored && ifMatch !== undefined && stored.etag !== ifMatch) {
          throw new PreconditionFailedError('changed', { operation: 'delete', statusCode: 412 });
        }
        this.#stored.registrations.delete(id);
      }),
    query: (group: string) => {
      const page = (start: number, size: number) =>
        this.#read('reads registrations', () => {
          const all = [...this.#stored.registrations.values()].filter(({ registrationId }) =>
            registrationId?.startsWith(group),
          );
          const next = start + size;
          const more = next < all.length ? { continuationToken: String(next) } : {};
          return Object.assign(all.slice(start, next), more);
        });
      const byPage = ({ continuationToken, maxPageSize = 100 }: PageSettings = {}) => ({
        next: async () => ({ done: false, value: await page(Number(continuationToken ?? 0), maxPageSize) }),
      });
      return { byPage } as never;
    },
  };

  #read<T>(name: string, read: () => T): Promise<T> {
    const carryOut = () => {
      this.#stored.operations++;
      return read();
    };
    return this.#scheduler.call(this.#owner, name, carryOut, ({ reject }) => this.#failures(reject));
  }

  #write<T>(name: string, write: () => T): Promise<T> {
    const carryOut = () => {
      this.#stored.operations++;
      return write();
    };
    return this.#scheduler.call(this.#owner, name, carryOut, ({ reject }) => [
      ...this.#failures(reject),
      {
        name: 'answer lost',
        happen: () => {
          const zombie = {
            name: `${this.#owner}'s ${name}`,
            land: () => {
              this.#stored.underWay.delete(zombie);
              try {
                write();
              } catch (error) {
                if (error instanceof Violation) {
                  throw error;
                }
              }
            },
          };
          this.#stored.underWay.add(zombie);
          reject(new UnavailableError('no answer', { operation: name }));
        },
      },
    ]);
  }

  #failures(reject: (error: unknown) => void) {
    return [
      {
        name: '429',
        happen: () => reject(new ThrottledError('throttled', { operation: 'any', statusCode: 429 })),
      },
    ];
  }
}

function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}
