import type { Page } from './paged-query.ts';
import type { ServiceAnswer } from './service-call.ts';
import { type FailedCall, refusal } from './service-error.ts';

/** An id must not turn one resource's path into another's; what else DPS wants of it, DPS says. */
export function requireId(call: FailedCall, id: string): void {
  if (typeof id !== 'string' || id === '' || id === '.' || id === '..' || !id.isWellFormed()) {
    throw refusal(call, 'an id is 1 to 128 letters, digits and - . _ : characters.');
  }
}

export function requirePageSize(call: FailedCall, maxPageSize: number | undefined): void {
  if (maxPageSize !== undefined && !(Number.isInteger(maxPageSize) && maxPageSize > 0)) {
    throw refusal(call, 'maxPageSize is a whole number of 1 or more.');
  }
}

export function pathOf(path: string, serviceVersion: string): string {
  return `${path}?api-version=${serviceVersion}`;
}

export function pageOf<T>(answer: ServiceAnswer): Page<T> {
  const page = answer.body as Page<T>;
  if (answer.continuation) {
    page.continuationToken = answer.continuation;
  }
  return page;
}
