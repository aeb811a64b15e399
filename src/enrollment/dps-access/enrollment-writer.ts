import type { DeviceProvisioningClient } from '../../dps/client.ts';
import {
  AlreadyExistsError,
  type DeviceProvisioningError,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  PreconditionFailedError,
} from '../../dps/errors.ts';
import type {
  IndividualEnrollment,
  IndividualEnrollmentBulkError,
  IndividualEnrollmentKey,
} from '../../dps/models.ts';
import type { Clock } from '../../tools/clock.ts';
import type { ThrottledDps } from './throttled-dps.ts';

/** DPS takes ten enrollments in one operation, and messages of 96 KB. */
const bulkSize = 10;
const bulkBytes = 90 * 1024;
/** So long at most a write waits for others that are on their way, or that come one after the other. */
const gathersForMs = 100;
/** More bulks at once do not help against the quota, and fuller ones do. */
const bulksAtOnce = 8;

/** What the writer needs of the DPS client. */
export type EnrollmentWrites = {
  readonly individualEnrollments: Pick<
    DeviceProvisioningClient['individualEnrollments'],
    'createOrUpdate' | 'delete' | 'runBulkOperation'
  >;
};

export type Write =
  | { readonly mode: 'create'; readonly enrollment: IndividualEnrollment }
  | { readonly mode: 'update'; readonly enrollment: IndividualEnrollment; readonly etag: string }
  | { readonly mode: 'delete'; readonly registrationId: string; readonly etag: string };

export interface WriteOptions {
  /** Milliseconds since 1970. */
  readonly deadline: number;
  /** Asked when the operation's token is there, before DPS is called. */
  readonly isWanted: () => Promise<boolean>;
  /** The answer was lost: whether DPS has carried out the write is not known. */
  readonly onUnknown: () => void;
}

export type WriteResult =
  /** The etag only where the write was an operation of its own: bulk answers carry none. */
  | { readonly kind: 'done'; readonly etag?: string | undefined }
  | { readonly kind: 'exists' | 'changed' | 'absent' | 'unwanted' };

interface Item extends WriteOptions {
  readonly write: Write;
  readonly bytes: number;
  done(result: WriteResult): void;
  failed(error: unknown): void;
}

/**
 * Packs concurrent writes of individual enrollments into bulk operations: first a token, then what waits by then and is
 * still wanted, up to ten. So a busy writer sends full bulks, and a quiet one sends at once. Every caller gets the result
 * of its own item. Callers see to it that one registration id is not in flight twice.
 */
export class EnrollmentWriter {
  readonly #client: EnrollmentWrites;
  readonly #throttledDps: Pick<ThrottledDps, 'call'>;
  readonly #clock: Clock;
  readonly #lines = { create: new Line(), update: new Line(), delete: new Line() };
  #expected = 0;
  #changed = Promise.withResolvers<void>();

  constructor(client: EnrollmentWrites, throttledDps: Pick<ThrottledDps, 'call'>, clock: Clock) {
    this.#client = client;
    this.#throttledDps = throttledDps;
    this.#clock = clock;
  }

  /** Somebody is finding out what to write: writes that wait wait a moment for it. To be released once, or more often. */
  expect(): () => void {
    let isExpected = true;
    this.#expected++;
    return () => {
      if (isExpected) {
        isExpected = false;
        this.#expected--;
        this.#tell();
      }
    };
  }

  /** @throws InvalidRequestError if DPS rejects it; RetryLaterError if it cannot be done by the deadline. */
  write(write: Write, options: WriteOptions): Promise<WriteResult> {
    return new Promise((done, failed) => {
      const content = write.mode === 'delete' ? write.registrationId : write.enrollment;
      const bytes = Buffer.byteLength(JSON.stringify(content)) + 100;
      const line = this.#lines[write.mode];
      line.add({ ...options, write, bytes, done, failed }, this.#clock.now().getTime());
      this.#tell();
      this.#wake(write.mode);
    });
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #wake(mode: Write['mode']): void {
    const line = this.#lines[mode];
    const wanted = Math.min(bulksAtOnce, Math.ceil(line.waiting.length / bulkSize));
    while (line.senders < wanted) {
      line.senders++;
      void this.#send(mode).finally(() => {
        line.senders--;
        this.#wake(mode);
      });
    }
  }

  async #send(mode: Write['mode']): Promise<void> {
    const line = this.#lines[mode];
    let items: readonly Item[] = [];
    const deadline = line.waiting.reduce((latest, item) => Math.max(latest, item.deadline), 0);
    const isWanted = async () => {
      items = await wantedOf(items);
      await this.#gathered(line);
      // Whoever comes while others are asked goes along.
      while (items.length < bulkSize && line.waiting.length > 0) {
        const more = line.take(items);
        if (more.length === 0) {
          break;
        }
        items = [...items, ...(await wantedOf(more))];
      }
      return items.length > 0;
    };
    try {
      const unclear = await this.#throttledDps.call('pipeline', deadline, () => this.#attempt(mode, items), {
        access: accessFor(mode),
        isWanted,
      });
      await Promise.all((unclear ?? []).map((item) => this.#writeAlone(item)));
    } catch (error) {
      const affected = items.length > 0 ? items : line.take([]);
      if (error instanceof InvalidRequestError && affected.length > 1) {
        await Promise.all(affected.map((item) => this.#writeAlone(item)));
        return;
      }
      for (const item of affected) {
        item.failed(error);
      }
    }
  }

  async #gathered(line: Line): Promise<void> {
    const more = () => line.waiting.length < bulkSize && (this.#expected > 0 || line.isBusy);
    if (!more()) {
      return;
    }
    let isOver = false;
    const over = this.#clock.sleep(gathersForMs).then(() => {
      isOver = true;
    });
    while (more() && !isOver) {
      await Promise.race([this.#changed.promise, over]);
    }
  }

  /** Ends the items that are clear; the others are written one by one, for DPS's own words. */
  async #attempt(mode: Write['mode'], items: readonly Item[]): Promise<readonly Item[]> {
    const [first] = items;
    if (!first) {
      return [];
    }
    if (items.length === 1) {
      first.done(await this.#single(first));
      return [];
    }
    const { isSuccessful, errors } = await noting(items, () =>
      this.#client.individualEnrollments.runBulkOperation({
        mode: mode === 'update' ? 'updateIfMatchETag' : mode,
        enrollments: items.map(({ write }) => bulkItem(write)),
      }),
    );
    const failures = new Map(errors.map((error) => [idIn(error), error.errorCode]));
    const ids = new Set(items.map(idOf));
    const saysWhich = isSuccessful || (failures.size > 0 && [...failures.keys()].every((id) => ids.has(id)));
    if (!saysWhich) {
      return items;
    }
    const statusOf = (item: Item) => Math.floor(Number(failures.get(idOf(item))) / 1_000);
    if (items.every((item) => statusOf(item) === 403)) {
      throw noRoom(errors[0]);
    }
    return items.filter((item) => {
      const result: WriteResult | undefined = failures.has(idOf(item))
        ? resultOfStatus(statusOf(item))
        : { kind: 'done' };
      if (result) {
        item.done(result);
      }
      return result === undefined;
    });
  }

  async #writeAlone(item: Item): Promise<void> {
    const { deadline, isWanted, write } = item;
    try {
      const options = { access: accessFor(write.mode), isWanted };
      const result = await this.#throttledDps.call('pipeline', deadline, () => this.#single(item), options);
      item.done(result ?? { kind: 'unwanted' });
    } catch (error) {
      item.failed(error);
    }
  }

  async #single(item: Item): Promise<WriteResult> {
    try {
      return await noting([item], () => this.#put(item.write));
    } catch (error) {
      const result = resultOf(error);
      if (result) {
        return result;
      }
      throw error;
    }
  }

  async #put(write: Write): Promise<WriteResult> {
    const { individualEnrollments } = this.#client;
    if (write.mode === 'delete') {
      await individualEnrollments.delete(write.registrationId, { ifMatch: write.etag });
      return { kind: 'done' };
    }
    const options = write.mode === 'update' ? { ifMatch: write.etag } : {};
    const { etag } = await individualEnrollments.createOrUpdate(write.enrollment, options);
    return { kind: 'done', etag };
  }
}

class Line {
  readonly waiting: Item[] = [];
  senders = 0;
  /** Writes come so fast one after the other that it is worth waiting for the next. */
  isBusy = false;
  #lastAt = Number.NEGATIVE_INFINITY;

  add(item: Item, now: number): void {
    this.isBusy = Math.abs(now - this.#lastAt) < gathersForMs;
    this.#lastAt = now;
    this.waiting.push(item);
  }

  /** What still has room beside these. */
  take(beside: readonly Item[]): Item[] {
    let bytes = beside.reduce((sum, item) => sum + item.bytes, 0);
    let count = 0;
    for (const item of this.waiting.slice(0, bulkSize - beside.length)) {
      bytes += item.bytes;
      if (beside.length + count > 0 && bytes > bulkBytes) {
        break;
      }
      count++;
    }
    return this.waiting.splice(0, count);
  }
}

/** Ends the items that are no longer wanted. */
async function wantedOf(items: readonly Item[]): Promise<Item[]> {
  const wanted: Item[] = [];
  await Promise.all(
    items.map(async (item) => {
      try {
        if (await item.isWanted()) {
          wanted.push(item);
        } else {
          item.done({ kind: 'unwanted' });
        }
      } catch (error) {
        item.failed(error);
      }
    }),
  );
  return wanted;
}

/** Whether a write that failed so may have been carried out. */
export function isUnknown(error: unknown): boolean {
  if (error instanceof InvalidRequestError) {
    return false;
  }
  const status = (error as Partial<DeviceProvisioningError>).statusCode;
  return status === undefined || status < 400 || status === 408 || status >= 500;
}

async function noting<T>(items: readonly Pick<Item, 'onUnknown'>[], write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (isUnknown(error)) {
      for (const item of items) {
        item.onUnknown();
      }
    }
    throw error;
  }
}

function resultOf(error: unknown): WriteResult | undefined {
  if (error instanceof AlreadyExistsError) {
    return { kind: 'exists' };
  }
  if (error instanceof PreconditionFailedError) {
    return { kind: 'changed' };
  }
  return error instanceof NotFoundError ? { kind: 'absent' } : undefined;
}

function resultOfStatus(status: number): WriteResult | undefined {
  const kinds = { 404: 'absent', 409: 'exists', 412: 'changed' } as const;
  const kind = kinds[status as keyof typeof kinds];
  return kind && { kind };
}

function bulkItem(write: Write): IndividualEnrollment | IndividualEnrollmentKey {
  if (write.mode === 'create') {
    return write.enrollment;
  }
  if (write.mode === 'update') {
    return { ...write.enrollment, etag: write.etag };
  }
  return { registrationId: write.registrationId, etag: write.etag };
}

function accessFor(mode: Write['mode']): 'create-enrollment' | 'write' {
  return mode === 'create' ? 'create-enrollment' : 'write';
}

function idOf({ write }: Item): string {
  return (write.mode === 'delete' ? write.registrationId : write.enrollment.registrationId).toLowerCase();
}

/** DPS's answer is read as it comes: what it lacks is no reason to take an item for done. */
function idIn(error: { readonly registrationId?: string }): string {
  return error.registrationId?.toLowerCase() ?? '';
}

/** As a single creation would be rejected: all of them alone would be, too. */
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
