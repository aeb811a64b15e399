import type {
  EnrollmentGroup,
  EnrollmentGroupBulkError,
  EnrollmentGroupBulkOperation,
  EnrollmentGroupKey,
  IndividualEnrollment,
  IndividualEnrollmentBulkError,
  IndividualEnrollmentBulkOperation,
  IndividualEnrollmentKey,
} from './models.ts';

/** The types of individual enrollments. */
export interface IndividualEnrollmentKind {
  enrollment: IndividualEnrollment;
  key: IndividualEnrollmentKey;
  bulkOperation: IndividualEnrollmentBulkOperation;
  bulkError: IndividualEnrollmentBulkError;
}

/** The types of enrollment groups. */
export interface EnrollmentGroupKind {
  enrollment: EnrollmentGroup;
  key: EnrollmentGroupKey;
  bulkOperation: EnrollmentGroupBulkOperation;
  bulkError: EnrollmentGroupBulkError;
}

/** The two kinds of enrollment. */
export type EnrollmentKind = IndividualEnrollmentKind | EnrollmentGroupKind;

/** How a kind is written on the wire. */
export interface KindOnTheWire {
  readonly name: 'individualEnrollments' | 'enrollmentGroups';
  readonly path: '/enrollments' | '/enrollmentGroups';
  readonly idMember: 'registrationId' | 'enrollmentGroupId';
  readonly bulkMember: 'enrollments' | 'enrollmentGroups';
}

export const individualEnrollmentKind: KindOnTheWire = {
  name: 'individualEnrollments',
  path: '/enrollments',
  idMember: 'registrationId',
  bulkMember: 'enrollments',
};

export const enrollmentGroupKind: KindOnTheWire = {
  name: 'enrollmentGroups',
  path: '/enrollmentGroups',
  idMember: 'enrollmentGroupId',
  bulkMember: 'enrollmentGroups',
};
