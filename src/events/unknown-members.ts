import { isJsonObject } from './json.ts';
import type { EventWarning } from './rejection.ts';
import { shownName } from './secret-texts.ts';

/** So many are named; a sender that has more wrong sees these first. */
const namedAtMost = 10;

/** A warning for each member that is ignored, with the member that was probably meant. */
export function unknownMembers(value: unknown, known: readonly string[], pointer: string): EventWarning[] {
  if (!isJsonObject(value)) {
    return [];
  }
  return Object.keys(value)
    .filter((name) => !known.includes(name))
    .slice(0, namedAtMost)
    .map((name) => {
      const likely = likelyMember(name, known);
      const hint = likely === undefined ? '' : ` (did you mean ${likely}?)`;
      return `unknown-member: ${pointer}/${shownName(name)}${hint}` as const;
    });
}

/** The known name that differs in case, in separators or in two letters at most. */
function likelyMember(name: string, known: readonly string[]): string | undefined {
  if (name.length > 40) {
    return undefined;
  }
  const plain = plainOf(name);
  const same = known.find((each) => plainOf(each) === plain);
  if (same !== undefined) {
    return same;
  }
  const [nearest] = known
    .map((each) => ({ each, distance: distance(plain, plainOf(each)) }))
    .sort((left, right) => left.distance - right.distance);
  return nearest && nearest.distance <= Math.min(2, Math.floor(nearest.each.length / 3))
    ? nearest.each
    : undefined;
}

function plainOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** Levenshtein's, row by row. */
function distance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
