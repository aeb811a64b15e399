import { maxIdLength } from './limits.ts';

/** What differs between individual enrollments and enrollment groups. */
export interface EnrollmentKind {
  readonly name: 'individual' | 'group';
  readonly idMember: 'registrationId' | 'enrollmentGroupId';
  readonly notFound: 'enrollmentNotFound' | 'groupNotFound';
  readonly exists: 'enrollmentExists' | 'groupExists';
}

export const individualKind: EnrollmentKind = {
  name: 'individual',
  idMember: 'registrationId',
  notFound: 'enrollmentNotFound',
  exists: 'enrollmentExists',
};

export const groupKind: EnrollmentKind = {
  name: 'group',
  idMember: 'enrollmentGroupId',
  notFound: 'groupNotFound',
  exists: 'groupExists',
};

/** Registration ids and group ids: the specification's rule for the start, the documentation's for the end. */
const idPattern = /^[A-Za-z0-9](?:[A-Za-z0-9\-._:]*[A-Za-z0-9-])?$/;

export function isValidId(id: string): boolean {
  return id.length <= maxIdLength && idPattern.test(id);
}

/** Ids are compared without regard to case. */
export function keyOf(id: string): string {
  return id.toLowerCase();
}
