import type { ConditionalOptions } from './operation-options.ts';
import type { Page } from './paged-query.ts';
import type { ServiceResponse } from './service-call.ts';
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

/** The If-Match header that the options ask for. */
export function ifMatchOf(
  call: FailedCall,
  item: string | { readonly etag?: string | undefined },
  options: ConditionalOptions,
): string | undefined {
  if (!options.onlyIfUnchanged) {
    return options.ifMatch;
  }
  const etag = typeof item === 'string' ? undefined : item.etag;
  if (!etag) {
    throw refusal(call, 'onlyIfUnchanged needs an object with the etag that get or query answered.');
  }
  return etag;
}

export function pathOf(path: string, serviceVersion: string): string {
  return `${path}?api-version=${serviceVersion}`;
}

export function pageOf<T>(response: ServiceResponse): Page<T> {
  const page = response.body as Page<T>;
  if (response.continuation) {
    page.continuationToken = response.continuation;
  }
  return page;
}
