/** Knows no `reprovisionedToInitialAssignment`. */
export const oldVersion = '2019-03-31';
export const previewVersion = '2025-07-01-preview';

export const apiVersions: ReadonlySet<string> = new Set([
  oldVersion,
  '2021-06-01',
  '2021-10-01',
  previewVersion,
]);
