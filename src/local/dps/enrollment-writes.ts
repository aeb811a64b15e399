import { withKeys } from './attestation.ts';
import {
  createdDateTimeUtcOf,
  type EnrollmentInput,
  enrollmentTexts,
  readEnrollment,
} from './enrollment-input.ts';
import { type EnrollmentKind, groupKind, keyOf } from './enrollment-kinds.ts';
import { ServiceError } from './errors.ts';
import type { JsonObject } from './json-input.ts';
import { maxEnrollments, maxSymmetricKeyGroups, maxX509Groups } from './limits.ts';
import type { EmulatorState, StoredEnrollment } from './state.ts';

export interface WriteContext {
  readonly state: EmulatorState;
  readonly isPreview: boolean;
  timestamp(): string;
  newEtag(): string;
}

/**
 * Creates or replaces an enrollment; the rules are the contract's table on concurrency.
 * @param ifMatch none: create only; an etag: replace that version; `*`: replace whatever is there.
 * @returns what makes the answer of PUT, with keys; bulk operations have no use for it.
 * @throws ServiceError
 */
export function writeEnrollment(
  kind: EnrollmentKind,
  body: JsonObject,
  id: string,
  ifMatch: string | undefined,
  context: WriteContext,
): () => string {
  const { state } = context;
  const existing = state.enrollments(kind).get(keyOf(id));
  const input = readEnrollment(body, {
    kind,
    isPreview: context.isPreview,
    previous: existing && {
      stored: existing.attestation,
      shown: () => JSON.parse(existing.text).attestation,
    },
    isKnownCa: (name) => Object.hasOwn(state.configuration.certificates, name),
  });
  refuseConflict(kind, existing, ifMatch);
  refuseOverflow(input, existing, state);

  const lastUpdatedDateTimeUtc = context.timestamp();
  const createdDateTimeUtc = existing ? createdDateTimeUtcOf(existing.text) : lastUpdatedDateTimeUtc;
  const etag = context.newEtag();
  const { text, stateAt, textWithKeys } = enrollmentTexts(input, {
    etag,
    createdDateTimeUtc,
    lastUpdatedDateTimeUtc,
  });
  state.commit({
    put: kind.name,
    enrollment: {
      key: keyOf(id),
      sequence: existing?.sequence ?? state.nextSequence(),
      etag,
      text,
      stateAt,
      attestation: input.attestation.stored,
    },
  });
  return textWithKeys;
}

/** @throws ServiceError if it does not exist or is not the version that `ifMatch` names. */
export function deleteEnrollment(
  kind: EnrollmentKind,
  id: string,
  ifMatch: string | undefined,
  { state }: Pick<WriteContext, 'state'>,
): void {
  const existing = findEnrollment(kind, id, state);
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== existing.etag) {
    throw new ServiceError('preconditionFailed');
  }
  state.commit({ delete: kind.name, key: existing.key });
}

/** @throws ServiceError `enrollmentNotFound` or `groupNotFound` */
export function findEnrollment(kind: EnrollmentKind, id: string, state: EmulatorState): StoredEnrollment {
  const enrollment = state.enrollments(kind).get(keyOf(id));
  if (enrollment === undefined) {
    throw new ServiceError(kind.notFound);
  }
  return enrollment;
}

export function attestationMechanism(enrollment: StoredEnrollment): JsonObject {
  return withKeys(enrollment.attestation, JSON.parse(enrollment.text).attestation);
}

function refuseConflict(
  kind: EnrollmentKind,
  existing: StoredEnrollment | undefined,
  ifMatch: string | undefined,
): void {
  if (existing !== undefined && ifMatch === undefined) {
    throw new ServiceError(kind.exists);
  }
  if (existing === undefined && ifMatch === '*') {
    throw new ServiceError(kind.notFound);
  }
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== existing?.etag) {
    throw new ServiceError('preconditionFailed');
  }
}

function refuseOverflow(
  input: EnrollmentInput,
  existing: StoredEnrollment | undefined,
  state: EmulatorState,
): void {
  if (input.kind !== groupKind) {
    if (existing === undefined && state.individual.size >= maxEnrollments) {
      throw new ServiceError('limitReached');
    }
    return;
  }
  const isSymmetric = input.attestation.stored.type === 'symmetricKey';
  let others = 0;
  for (const group of state.group.values()) {
    if (group !== existing && (group.attestation.type === 'symmetricKey') === isSymmetric) {
      others += 1;
    }
  }
  if (others >= (isSymmetric ? maxSymmetricKeyGroups : maxX509Groups)) {
    throw new ServiceError('limitReached');
  }
}
