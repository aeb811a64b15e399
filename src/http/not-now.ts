import { DeviceProvisioningError } from '../dps/errors.ts';
import { handlingOf } from '../enrollment/dps-access/failure-handling.ts';
import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import { EventBusUnavailableError } from '../events/event-bus.ts';
import { StorageUnavailableError } from '../storage/tables.ts';
import { type HttpResponse, problem } from './http-response.ts';

const retryAfterInSeconds = 5;
const longestRetryAfterInSeconds = 3_600;

/**
 * The answer where Table Storage, Service Bus or DPS cannot do it now, and the caller is to come again: the one place that
 * makes a 503 of it. Undefined for anything else, which is a bug of ours.
 */
export function notNow(error: unknown, now: Date, detail?: string): HttpResponse | undefined {
  const what = whatIsAway(error);
  if (what === undefined) {
    return undefined;
  }
  const wait =
    error instanceof RetryLaterError && error.notBefore !== undefined ? error.notBefore - now.getTime() : 0;
  const seconds = Math.max(
    retryAfterInSeconds,
    Math.min(Math.ceil(wait / 1_000), longestRetryAfterInSeconds),
  );
  return problem({
    status: 503,
    detail: detail ?? `${what} Ask again in ${seconds} seconds.`,
    retryAfterInSeconds: seconds,
  });
}

function whatIsAway(error: unknown): string | undefined {
  if (error instanceof StorageUnavailableError) {
    return 'Table Storage does not answer at the moment.';
  }
  if (error instanceof EventBusUnavailableError) {
    return 'Service Bus does not answer at the moment.';
  }
  const isOfDps =
    error instanceof RetryLaterError ||
    (error instanceof DeviceProvisioningError && handlingOf(error).event === 'retrying');
  return isOfDps ? 'DPS does not answer at the moment, or must not be asked.' : undefined;
}
