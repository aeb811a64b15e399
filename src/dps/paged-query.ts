import type { PagedAsyncIterableIterator, PageSettings } from '@azure/core-paging';

/** Up to `maxPageSize` items, and the token of the next page while there may be one. */
export type Page<T> = T[] & { continuationToken?: string };

/** Items one by one under `for await`, or page by page with `byPage`. */
export type PagedQuery<T> = PagedAsyncIterableIterator<T, Page<T>, PageSettings>;

/** Turns a way to fetch one page into the habit of Azure's SDKs. Nothing is fetched before it is asked for. */
export function pagedQuery<T>(fetchPage: (settings: PageSettings) => Promise<Page<T>>): PagedQuery<T> {
  const items = eachItem(fetchPage);
  return {
    next: () => items.next(),
    [Symbol.asyncIterator]() {
      return this;
    },
    byPage: (settings = {}) => eachPage(fetchPage, settings),
  };
}

async function* eachPage<T>(
  fetchPage: (settings: PageSettings) => Promise<Page<T>>,
  settings: PageSettings,
): AsyncGenerator<Page<T>, undefined, undefined> {
  let next: PageSettings | undefined = settings;
  while (next) {
    const page: Page<T> = await fetchPage(next);
    yield page;
    // A page may be empty and yet not the last: only the token tells.
    next = page.continuationToken ? { ...settings, continuationToken: page.continuationToken } : undefined;
  }
}

async function* eachItem<T>(
  fetchPage: (settings: PageSettings) => Promise<Page<T>>,
): AsyncGenerator<T, undefined, undefined> {
  for await (const page of eachPage(fetchPage, {})) {
    yield* page;
  }
}
