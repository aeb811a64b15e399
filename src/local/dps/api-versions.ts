/** Knows no `reprovisionedToInitialAssignment`. */
export const OLD_VERSION = '2019-03-31';
export const PREVIEW_VERSION = '2025-07-01-preview';

export const API_VERSIONS: ReadonlySet<string> = new Set([
  OLD_VERSION,
  '2021-06-01',
  '2021-10-01',
  PREVIEW_VERSION,
]);
