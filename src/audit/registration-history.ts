/** So many audits are compared: the record has to have moved between each and the next. */
const auditsCompared = 4;

/** When a record was last updated, with the number of the run that saw it so first; the newest last. */
export type RegistrationHistory = readonly (readonly [runNumber: number, lastUpdated: string])[];

/** Nothing is added where the record has not moved: it then need not be written. */
export function withSeen(
  history: RegistrationHistory,
  runNumber: number,
  lastUpdated: string | undefined,
): RegistrationHistory {
  if (lastUpdated === undefined || history.at(-1)?.[1] === lastUpdated) {
    return history;
  }
  // A run that has failed leaves its number to the next.
  const earlier = history.filter(([number]) => number < runNumber);
  return [...earlier, [runNumber, lastUpdated] as const].slice(-auditsCompared);
}

/** The record's times, oldest first, if it moved from each of the last audits to the next; else undefined. */
export function movedEachTime(
  history: RegistrationHistory,
  runNumber: number,
): readonly string[] | undefined {
  const newest = history.slice(-auditsCompared);
  const moved = newest.slice(1).every(([number], index) => number === runNumber - auditsCompared + 2 + index);
  return newest.length === auditsCompared && moved ? newest.map(([, time]) => time) : undefined;
}
