import {
  type DeviceProvisioningError,
  DeviceProvisioningError as DeviceProvisioningErrorClass,
  ForbiddenError,
  InvalidRequestError,
  UnauthorizedError,
} from './errors.ts';

/** What became of one of many. */
export type ItemResult =
  | { readonly id: string; readonly succeeded: true }
  | { readonly id: string; readonly succeeded: false; readonly error: DeviceProvisioningError };

/** DPS takes no more to a bulk operation. */
export const BULK_LIMIT = 10;

const DEFAULT_CONCURRENCY = 4;

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
  runBulk(items: readonly T[]): Promise<Map<string, DeviceProvisioningError>>;
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
  let hopeless: DeviceProvisioningError | undefined;
  const work = async () => {
    for (let chunk = chunks.pop(); chunk; chunk = chunks.pop()) {
      const failures: Map<string, DeviceProvisioningError> = hopeless
        ? failAll(chunk, hopeless)
        : await runChunk(chunk, plan);
      hopeless ??= [...failures.values()].find(isHopeless);
      for (const { id, index } of chunk) {
        const error = failures.get(id.toLowerCase());
        results[index] = error ? { id, succeeded: false, error } : { id, succeeded: true };
      }
    }
  };
  const workers = Math.max(1, Math.min(concurrency ?? DEFAULT_CONCURRENCY, chunks.length));
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
  for (let start = 0; start < entries.length; start += BULK_LIMIT) {
    chunks.push(entries.slice(start, start + BULK_LIMIT));
  }
  return chunks.reverse();
}

async function runChunk<T>(
  chunk: readonly Entry<T>[],
  plan: ManyPlan<T>,
): Promise<Map<string, DeviceProvisioningError>> {
  try {
    return await plan.runBulk(chunk.map(({ item }) => item));
  } catch (error) {
    if (!(error instanceof DeviceProvisioningErrorClass)) {
      throw error;
    }
    if (error instanceof InvalidRequestError && chunk.length > 1) {
      return runHalves(chunk, plan);
    }
    return failAll(chunk, error);
  }
}

/** A bulk that is refused as a whole has an item that DPS cannot read: the others need not suffer for it. */
async function runHalves<T>(chunk: readonly Entry<T>[], plan: ManyPlan<T>) {
  const middle = Math.ceil(chunk.length / 2);
  const first = await runChunk(chunk.slice(0, middle), plan);
  const second = await runChunk(chunk.slice(middle), plan);
  return new Map([...first, ...second]);
}

function failAll<T>(chunk: readonly Entry<T>[], error: DeviceProvisioningError) {
  return new Map(chunk.map(({ id }) => [id.toLowerCase(), error]));
}

/** Where one request may not, none may. */
function isHopeless(error: DeviceProvisioningError): boolean {
  return error instanceof UnauthorizedError || error instanceof ForbiddenError;
}
