/** Where the blob, queue and table services answer. */
export function storageUrls(connectionString: string): string[] {
  return [...connectionString.matchAll(/(?:Blob|Queue|Table)Endpoint=([^;]+)/g)].map(([, url]) => url ?? '');
}
