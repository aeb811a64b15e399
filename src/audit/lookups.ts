import type { FindingCode } from './finding.ts';

/**
 * What a run may look at by id, beyond what the listings tell: `all` findings, those of each code, and the unknown devices
 * that are `listed`.
 */
export type Lookups = Readonly<Partial<Record<FindingCode | 'all' | 'listed', number>>>;

/**
 * Queries lag behind writes, so findings are looked at by id before they are noted. Where there are more (a profile was
 * changed, say), lag is not what explains them, and the quota is worth more.
 */
const mostOfAll = 2_000;
const mostOfCode = 500;
/** Of a fleet that is older than this system: its devices are listed when their events come. */
const mostListed = 1_000;

/**
 * One of `workers` that work at once takes its part of what nobody has been granted yet. Devices that are listed cost no
 * operation: of those it may list what no unit has that is done.
 */
export function grantFor(
  workers: number,
  codes: readonly FindingCode[],
  { granted, used }: { readonly granted: Lookups; readonly used: Lookups },
): Lookups {
  const part = (most: number, taken = 0) => Math.max(0, Math.floor((most - taken) / workers));
  return {
    all: part(mostOfAll, granted.all),
    listed: Math.max(0, mostListed - (used.listed ?? 0)),
    ...Object.fromEntries(codes.map((code) => [code, part(mostOfCode, granted[code])])),
  };
}

/** `lookups` with one more of this code; undefined: the grant is used up. */
export function lookedUp(lookups: Lookups, grant: Lookups, code: FindingCode): Lookups | undefined {
  const { all = 0, [code]: ofCode = 0 } = lookups;
  if (all >= (grant.all ?? 0) || ofCode >= (grant[code] ?? 0)) {
    return undefined;
  }
  return { ...lookups, all: all + 1, [code]: ofCode + 1 };
}

/** What of a grant was not used goes back. */
export function returned(granted: Lookups, grant: Lookups, used: Lookups): Lookups {
  const left: Partial<Record<string, number>> = { ...granted };
  for (const [name, count = 0] of Object.entries(grant)) {
    left[name] = (left[name] ?? 0) - count + (used[name as keyof Lookups] ?? 0);
  }
  return left as Lookups;
}
