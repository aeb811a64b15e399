import { ServiceError } from './errors.ts';
import { invalid, type JsonObject } from './json-input.ts';
import { maxPageSize } from './limits.ts';
import type { OrderedCollection, Page } from './ordered-collection.ts';

export interface PageRequest {
  /** Headers `x-ms-max-item-count` and `x-ms-continuation`. */
  readonly maxItemCount: string | undefined;
  readonly continuation: string | undefined;
}

/**
 * Takes a page. `listing` names what is listed; a continuation token of another listing is refused.
 * @returns the items, and the token of the next page unless this is the last.
 * @throws ServiceError `invalidArgument`
 */
export function takePage<Item extends { readonly key: string; readonly sequence: number }>(
  collection: OrderedCollection<Item>,
  listing: string,
  request: PageRequest,
): { items: Page<Item>['items']; continuation: string | undefined } {
  const after = request.continuation === undefined ? 0 : readToken(listing, request.continuation);
  const { items, continueAfter } = collection.page(after, pageSize(request.maxItemCount));
  return { items, continuation: continueAfter === undefined ? undefined : makeToken(listing, continueAfter) };
}

/**
 * Checks the `query` of a query body. There are no conditions: `*`, `SELECT *`, `SELECT * FROM <the listing>`.
 * @throws ServiceError `invalidArgument`
 */
export function checkQuery(body: JsonObject, from: string): void {
  const query = body.query;
  if (typeof query !== 'string') {
    throw invalid('query', 'must be a string');
  }
  const match = /^\s*(?:\*|select\s+\*(?:\s+from\s+(\w+))?)\s*;?\s*$/i.exec(query);
  const named = match?.[1]?.toLowerCase() ?? from.toLowerCase();
  if (match === null || named !== from.toLowerCase()) {
    throw invalid('query', `must be SELECT * FROM ${from}`);
  }
}

function pageSize(header: string | undefined): number {
  if (header === undefined) {
    return maxPageSize;
  }
  const size = /^\d{1,9}$/.test(header) ? Number(header) : 0;
  if (size < 1) {
    throw new ServiceError('invalidArgument', "'x-ms-max-item-count' must be a positive integer.");
  }
  return Math.min(size, maxPageSize);
}

/** The token has the form of the service's, which pages by Cosmos DB. It does not depend on the page size. */
function makeToken(listing: string, after: number): string {
  const position = Buffer.from(`${listing}#${after}`, 'utf8').toString('base64url');
  return Buffer.from(
    JSON.stringify([{ token: `+RID:~${position}`, range: { min: '', max: 'FF' } }]),
  ).toString('base64');
}

function readToken(listing: string, token: string): number {
  const position =
    /"\+RID:~([A-Za-z0-9_-]+)"/.exec(Buffer.from(token, 'base64').toString('latin1'))?.[1] ?? '';
  const text = Buffer.from(position, 'base64url').toString('utf8');
  const after = text.startsWith(`${listing}#`) ? text.slice(listing.length + 1) : '';
  if (!/^\d{1,15}$/.test(after)) {
    throw new ServiceError('invalidArgument', "'x-ms-continuation' is no token of this query.");
  }
  return Number(after);
}
