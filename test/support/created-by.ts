import type { SeenRequest } from './proxy.ts';

/** The ids of the individual enrollments that a request to DPS would make. */
export function createdBy({ method, path, headers, body }: SeenRequest): string[] {
  if (method === 'PUT' && headers['if-match'] === undefined && /\/enrollments\//i.test(path)) {
    return [JSON.parse(body.toString()).registrationId];
  }
  if (method !== 'POST' || !/\/enrollments\?/.test(path)) {
    return [];
  }
  const { mode, enrollments } = JSON.parse(body.toString());
  return mode === 'create' ? enrollments.map((each: { registrationId: string }) => each.registrationId) : [];
}
