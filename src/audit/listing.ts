import type { AuditRun, Checkpoint } from './audit-run.ts';

/** Table and network trouble is waited out elsewhere: a listing that DPS drops so often cannot be read at all. */
const mostRestarts = 5;

/** What had been counted when a listing of DPS began. A listing whose continuation DPS refuses begins anew from here. */
export type ListingStart = Pick<
  AuditRun,
  'scanned' | 'states' | 'tallies' | 'groups' | 'closedGroups' | 'groupKinds'
> & {
  readonly restarts: number;
};

/** The run cannot be brought to its end. */
export class AuditFailedError extends Error {
  override name = 'AuditFailedError';
}

/** To be called with each page: a repeated page counts once, since its run is the one before it. */
export function listingBegun(run: AuditRun): AuditRun {
  if (run.listing) {
    return run;
  }
  const { scanned, states, tallies, groups, closedGroups, groupKinds } = run;
  return { ...run, listing: { scanned, states, tallies, groups, closedGroups, groupKinds, restarts: 0 } };
}

export function listingEnded({ listing: _, ...run }: AuditRun): AuditRun {
  return run;
}

/** @throws AuditFailedError if this listing began anew too often */
export function listingRestarted(run: AuditRun, checkpoint: Checkpoint): AuditRun {
  const { restarts = 0, ...counted } = run.listing ?? {};
  if (restarts >= mostRestarts) {
    throw new AuditFailedError(
      `DPS refused to go on with a listing (${checkpoint.phase}) ${restarts} times. Start another audit; if that fails as well, look at the DPS instance's health.`,
    );
  }
  const next = { ...run, ...counted, checkpoint };
  return {
    ...next,
    listing: { ...listingBegun(listingEnded(next)).listing, restarts: restarts + 1 } as ListingStart,
  };
}
