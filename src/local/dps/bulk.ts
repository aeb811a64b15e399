import { bodyId } from './enrollment-input.ts';
import type { EnrollmentKind } from './enrollment-kinds.ts';
import { isValidId, keyOf } from './enrollment-kinds.ts';
import { deleteEnrollment, type WriteContext, writeEnrollment } from './enrollment-writes.ts';
import { ServiceError } from './errors.ts';
import { parseIfMatch } from './etags.ts';
import { invalid, isObject, type JsonObject, optionalEnum, optionalString } from './json-input.ts';
import { maxBulkItems } from './limits.ts';

const modes = ['create', 'update', 'updateIfMatchETag', 'delete'] as const;
type Mode = (typeof modes)[number];

export interface BulkResult {
  readonly errors: readonly JsonObject[];
  readonly isSuccessful: boolean;
}

/**
 * Runs a bulk operation. Items stand alone: one that fails is reported, the others are applied.
 * @throws ServiceError `invalidArgument` if the operation as a whole cannot be understood; then nothing is applied.
 */
export function runBulk(kind: EnrollmentKind, body: JsonObject, context: WriteContext): BulkResult {
  const mode = optionalEnum(body, 'mode', modes);
  if (mode === undefined) {
    throw invalid('mode', 'is required');
  }
  const items = readItems(kind, body);
  const errors = items.flatMap((item) => {
    try {
      runItem(kind, mode, item, context);
      return [];
    } catch (error) {
      if (!(error instanceof ServiceError)) {
        throw error;
      }
      return [{ [kind.idMember]: bodyId(kind, item), errorCode: error.code, errorStatus: error.message }];
    }
  });
  return { errors, isSuccessful: errors.length === 0 };
}

function readItems(kind: EnrollmentKind, body: JsonObject): JsonObject[] {
  const member = kind.name === 'individual' ? 'enrollments' : 'enrollmentGroups';
  const items = body[member];
  if (!Array.isArray(items) || !items.every(isObject)) {
    throw invalid(member, 'must be an array of objects');
  }
  if (items.length === 0 || items.length > maxBulkItems) {
    throw invalid(member, `must have 1 to ${maxBulkItems} items`);
  }
  const keys = new Set(items.map((item) => keyOf(bodyId(kind, item))));
  if (keys.size < items.length) {
    throw invalid(member, 'must not name an id twice');
  }
  return items;
}

function runItem(kind: EnrollmentKind, mode: Mode, item: JsonObject, context: WriteContext): void {
  const id = bodyId(kind, item);
  if (!isValidId(id)) {
    throw invalid(kind.idMember, 'is no valid id');
  }
  const ifMatch = mode === 'create' ? undefined : parseIfMatch(optionalString(item, 'etag'));
  if (mode === 'delete') {
    deleteEnrollment(kind, id, ifMatch, context);
    return;
  }
  if (mode === 'updateIfMatchETag' && ifMatch === undefined) {
    throw invalid('etag', 'is required by this mode');
  }
  // `update` without an etag means create: the live service answers 409201 for what is there (seen in recordings).
  writeEnrollment(kind, item, id, ifMatch, context);
}
