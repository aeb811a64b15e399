import type { Values } from '../storage/tables.ts';

/** So many audits are compared: the record has to have moved between each and the next. */
const auditsCompared = 4;

/**
 * When a record was last updated, as the run of this number saw it. The columns take turns, so that a page is written
 * without being read first, and writing it again changes nothing.
 */
export function seenBy(runNumber: number, lastUpdated: string | undefined): Values {
  return { [`seen${runNumber % auditsCompared}`]: `${runNumber} ${lastUpdated ?? ''}` };
}

export function seenOf(values: Readonly<Record<string, unknown>>): ReadonlyMap<number, string> {
  const seen = new Map<number, string>();
  for (let column = 0; column < auditsCompared; column++) {
    const [runNumber = '', lastUpdated = ''] = String(values[`seen${column}`] ?? '').split(' ');
    if (lastUpdated !== '') {
      seen.set(Number(runNumber), lastUpdated);
    }
  }
  return seen;
}

/** The record's times, oldest first, if it moved from each of the last audits to the next; else undefined. */
export function movedEachTime(
  seen: ReadonlyMap<number, string>,
  runNumber: number,
): readonly string[] | undefined {
  const times: string[] = [];
  for (let each = runNumber - auditsCompared + 1; each <= runNumber; each++) {
    const time = seen.get(each);
    if (time === undefined || time === times.at(-1)) {
      return undefined;
    }
    times.push(time);
  }
  return times;
}
