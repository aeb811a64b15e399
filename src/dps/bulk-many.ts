import { DeviceProvisioningError, ForbiddenError, InvalidRequestError, UnauthorizedError } from './errors.ts';

/** What became of one of many. */
export type ItemResult =
  | { readonly id: string; readonly succeeded: true }
  | { readonly id: string; readonly succeeded: false; readonly error: DeviceProvisioningError };

/** DPS takes no more to a bulk operation. */
export const bulkLimit = 10;

const defaultConcurrency = 4;

/** One of many, with its place in the caller's order. */
interface Entry<T> {
  readonly id: string;
  readonly item: T;
  readonly index: number;
}

/** How the pieces are done. */
export interface ManyPlan<T> {
  idOf(item: T): string;
  /** An error for what is not sent at all. */
  refuse(item: T): DeviceProvisioningError | undefined;
  refuseDuplicate(id: string): DeviceProvisioningError;
  /** Runs one bulk of ten at most; answers the errors of its items by their id in lower case. */
  runBulk(items: readonly T[]): Promise<Failures>;
}

/**
 * Runs a bulk operation of any size in pieces of ten. The results are in the order of the items. A failed
 * item is a result; only an aborted signal rejects.
 */
export async function runMany<T>(
  items: readonly T[],
  plan: ManyPlan<T>,
  concurrency: number | undefined,
): Promise<ItemResult[]> {
  const results: (ItemResult | undefined)[] = new Array(items.length).fill(undefined);
  const entries = admit(items, plan, results);
  const chunks = chunked(entries);
  const run = new ManyRun(plan);
  const work = async () => {
    for (let chunk = chunks.pop(); chunk; chunk = chunks.pop()) {
      const failures = await run.chunk(chunk);
      for (const { id, index } of chunk) {
        const error = failures.get(id.toLowerCase());
        results[index] = error ? { id, succeeded: false, error } : { id, succeeded: true };
      }
    }
  };
  const workers = Math.max(1, Math.min(concurrency ?? defaultConcurrency, chunks.length));
  await Promise.all(Array.from({ length: workers }, work));
  return results.filter((result) => result !== undefined);
}

/** Sorts out what is not sent: what the plan refuses, and ids that come again. */
function admit<T>(items: readonly T[], plan: ManyPlan<T>, results: (ItemResult | undefined)[]): Entry<T>[] {
  const seen = new Set<string>();
  const entries: Entry<T>[] = [];
  items.forEach((item, index) => {
    const id = plan.idOf(item);
    const error = seen.has(id.toLowerCase()) ? plan.refuseDuplicate(id) : plan.refuse(item);
    if (error) {
      results[index] = { id, succeeded: false, error };
      return;
    }
    seen.add(id.toLowerCase());
    entries.push({ id, item, index });
  });
  return entries;
}

/** The chunks, last first: they are taken from the end. */
function chunked<T>(entries: readonly Entry<T>[]): Entry<T>[][] {
  const chunks: Entry<T>[][] = [];
  for (let start = 0; start < entries.length; start += bulkLimit) {
    chunks.push(entries.slice(start, start + bulkLimit));
  }
  return chunks.reverse();
}

/** Errors of the items that failed, by id in lower case. */
type Failures = Map<string, DeviceProvisioningError>;

class ManyRun<T> {
  readonly #plan: ManyPlan<T>;
  /** Where one request may not, none may: the rest is not sent. */
  #notAllowed: DeviceProvisioningError | undefined;

  constructor(plan: ManyPlan<T>) {
    this.#plan = plan;
  }

  async chunk(entries: readonly Entry<T>[]): Promise<Failures> {
    if (this.#notAllowed) {
      return failAll(entries, this.#notAllowed);
    }
    try {
      return await this.#plan.runBulk(entries.map(({ item }) => item));
    } catch (error) {
      if (!(error instanceof DeviceProvisioningError)) {
        throw error;
      }
      if (error instanceof InvalidRequestError && entries.length > 1) {
        return this.#halves(entries);
      }
      if (error instanceof UnauthorizedError || error instanceof ForbiddenError) {
        this.#notAllowed = error;
      }
      return failAll(entries, error);
    }
  }

  /** A bulk that is refused as a whole has an item that DPS cannot read: the others need not suffer for it. */
  async #halves(entries: readonly Entry<T>[]): Promise<Failures> {
    const middle = Math.ceil(entries.length / 2);
    const first = await this.chunk(entries.slice(0, middle));
    const second = await this.chunk(entries.slice(middle));
    return new Map([...first, ...second]);
  }
}

function failAll<T>(entries: readonly Entry<T>[], error: DeviceProvisioningError) {
  return new Map(entries.map(({ id }) => [id.toLowerCase(), error]));
}
