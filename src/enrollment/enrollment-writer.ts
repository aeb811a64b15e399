import type { Clock } from '../clock.ts';
import type { DeviceProvisioningClient } from '../dps/client.ts';
import { AlreadyExistsError, ForbiddenError, InvalidRequestError } from '../dps/errors.ts';
import type { IndividualEnrollment, IndividualEnrollmentBulkError } from '../dps/models.ts';
import type { DpsGate } from './dps-gate.ts';

/** DPS takes ten enrollments in one operation, and messages of 96 KB. */
const bulkSize = 10;
const bulkBytes = 90 * 1024;
/** More bulks at once do not help against the quota, and fuller ones do. */
const bulksAtOnce = 8;

export type Creation = 'created' | 'exists';

interface Item {
  readonly enrollment: IndividualEnrollment;
  readonly bytes: number;
  readonly deadline: number;
  done(creation: Creation): void;
  failed(error: unknown): void;
}

function idOf({ enrollment }: Item): string {
  return enrollment.registrationId.toLowerCase();
}

/** DPS's answer is read as it comes: what it lacks is no reason to take an item for created. */
function idIn(error: { readonly registrationId?: string }): string {
  return error.registrationId?.toLowerCase() ?? '';
}

/** As a single creation would be refused: all of them alone would be, too. */
function noRoom(error: IndividualEnrollmentBulkError | undefined): ForbiddenError {
  return new ForbiddenError(
    `DPS creates no individual enrollments: ${error?.errorCode} ${error?.errorStatus}`,
    {
      operation: 'individualEnrollments.runBulkOperation',
      statusCode: 403,
      errorCode: error?.errorCode,
    },
  );
}

/**
 * Packs concurrent creations into bulk operations: first a token, then whatever waits by then, up to ten. A busy
 * writer so sends full bulks, and a quiet one sends at once. Every caller gets the result of its own item.
 */
export class EnrollmentWriter {
  readonly #client: DeviceProvisioningClient;
  readonly #gate: DpsGate;
  readonly #clock: Clock;
  #pending: Item[] = [];
  #senders = 0;

  constructor(client: DeviceProvisioningClient, gate: DpsGate, clock: Clock) {
    this.#client = client;
    this.#gate = gate;
    this.#clock = clock;
  }

  /**
   * Creates an individual enrollment. Callers see to it that one registration id is not in flight twice.
   *
   * @throws InvalidRequestError if DPS refuses it; LaterError if it cannot be done by the deadline.
   */
  create(enrollment: IndividualEnrollment, deadline: number): Promise<Creation> {
    return new Promise((done, failed) => {
      const bytes = Buffer.byteLength(JSON.stringify(enrollment)) + 1;
      this.#pending.push({ enrollment, bytes, deadline, done, failed });
      this.#wake();
    });
  }

  #wake(): void {
    const wanted = Math.min(bulksAtOnce, Math.ceil(this.#pending.length / bulkSize));
    while (this.#senders < wanted) {
      this.#senders++;
      void this.#send().finally(() => {
        this.#senders--;
        this.#wake();
      });
    }
  }

  async #send(): Promise<void> {
    let items: Item[] = [];
    const deadline = this.#pending.reduce((latest, item) => Math.max(latest, item.deadline), 0);
    try {
      const unfinished = await this.#gate.call(
        'pipeline',
        deadline,
        async () => {
          if (items.length === 0) items = this.#take();
          return this.#attempt(items);
        },
        'create-enrollment',
      );
      await Promise.all(unfinished.map((item) => this.#createAlone(item)));
    } catch (error) {
      if (items.length === 0) items = this.#take();
      if (error instanceof InvalidRequestError && items.length > 1)
        await Promise.all(items.map((item) => this.#createAlone(item)));
      else for (const item of items) item.failed(error);
    }
  }

  #take(): Item[] {
    let bytes = 0;
    let count = 0;
    for (const item of this.#pending.slice(0, bulkSize)) {
      bytes += item.bytes;
      if (count > 0 && bytes > bulkBytes) break;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  /** Settles the items that are clear; the others are to be asked for one by one, for DPS's own words. */
  async #attempt(items: readonly Item[]): Promise<Item[]> {
    const [first] = items;
    if (!first) return [];
    if (items.length === 1) {
      first.done(await this.#put(first));
      return [];
    }
    const { isSuccessful, errors } = await this.#client.individualEnrollments.runBulkOperation({
      mode: 'create',
      enrollments: items.map(({ enrollment }) => enrollment),
    });
    const failures = new Map(errors.map((error) => [idIn(error), error.errorCode]));
    const ids = new Set(items.map(idOf));
    const saysWhich = isSuccessful || (failures.size > 0 && [...failures.keys()].every((id) => ids.has(id)));
    if (!saysWhich) return [...items];
    const statusOf = (item: Item) => Math.floor(Number(failures.get(idOf(item))) / 1_000);
    if (items.every((item) => statusOf(item) === 403)) throw noRoom(errors[0]);
    return items.filter((item) => {
      if (!failures.has(idOf(item))) item.done('created');
      else if (statusOf(item) === 409) item.done('exists');
      else return true;
      return false;
    });
  }

  async #createAlone(item: Item): Promise<void> {
    const patience = Math.max(item.deadline, this.#clock.now().getTime() + 1_000);
    try {
      item.done(await this.#gate.call('pipeline', patience, () => this.#put(item), 'create-enrollment'));
    } catch (error) {
      item.failed(error);
    }
  }

  async #put(item: Item): Promise<Creation> {
    try {
      await this.#client.individualEnrollments.createOrUpdate(item.enrollment);
      return 'created';
    } catch (error) {
      if (error instanceof AlreadyExistsError) return 'exists';
      throw error;
    }
  }
}
