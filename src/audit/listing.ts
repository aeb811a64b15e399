import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import { StorageUnavailableError } from '../storage/tables.ts';
import type { Checkpoint, Unit } from './audit-plan.ts';
import type { AuditStep, ListedPage } from './audit-step.ts';

/** Table and network trouble is waited out elsewhere: a listing that DPS drops so often cannot be read at all. */
const mostRestarts = 5;
/** What is put down at once: a row of a thousand records costs no more than one of a hundred. */
const pagesPerStep = 10;
const stepInMs = 10_000;

/** The run cannot be brought to its end. */
export class AuditFailedError extends Error {
  override name = 'AuditFailedError';
}

/** Some pages, one behind the other. Ends early where the quota is used up, or time is. */
export async function readPages<T>(
  step: AuditStep,
  continuation: string | undefined,
  read: Parameters<typeof step.page<T>>[1],
): Promise<ListedPage<T> | 'expired'> {
  const until = step.now().getTime() + stepInMs;
  const items: T[] = [];
  let next = continuation;
  for (let page = 0; page < pagesPerStep && step.now().getTime() < until; page++) {
    const listed: ListedPage<T> | 'expired' | 'later' = await step
      .page(next, read)
      .catch((error: unknown) => {
        if (page > 0 && (error instanceof RetryLaterError || error instanceof StorageUnavailableError)) {
          return 'later' as const;
        }
        throw error;
      });
    if (listed === 'expired') {
      return 'expired';
    }
    if (listed === 'later') {
      break;
    }
    items.push(...listed.items);
    if (listed.continuation === undefined) {
      return { items };
    }
    next = listed.continuation;
  }
  return next === undefined ? { items } : { items, continuation: next };
}

/** @throws AuditFailedError if this listing began anew too often */
export function listingRestarted(step: AuditStep, checkpoint: Checkpoint): Unit {
  const { restarts } = step.unit;
  if (restarts >= mostRestarts) {
    throw new AuditFailedError(
      `DPS refused to go on with a listing (${checkpoint.phase}) ${restarts} times. Start another audit; if that fails as well, look at the DPS instance's health.`,
    );
  }
  return step.restarted(checkpoint);
}
