import type { EventKey } from '../../events/event-identity.ts';

/**
 * Who completes a device or batch. It saves work and decides nothing: correctness rests on etags, and on Service Bus,
 * which delivers the message of a holder that stops once more.
 */
export interface Lease {
  /** The first message of the chain: its successors carry it. */
  readonly chain: string;
  readonly event?: EventKey;
  /** The place in the chain, and the delivery of that message, counted from 1. */
  readonly attempt: number;
  readonly delivery: number;
  /** The invocation that holds. Absent: parked, for a message of the chain that is still to come. */
  readonly nonce?: string;
  /** ISO 8601. A lease that is over may be taken by messages that cannot be completed yet. */
  readonly until: string;
}

/** A delivery of a message, as leases see it. */
export interface Claimant {
  readonly chain: string;
  readonly attempt: number;
  readonly delivery: number;
  readonly nonce: string;
}

export const leaseInMs = 5 * 60_000;

export function leaseOf(claimant: Claimant, event: EventKey | undefined, from: number): Lease {
  const { chain, attempt, delivery, nonce } = claimant;
  const until = new Date(from + leaseInMs).toISOString();
  return { chain, ...(event === undefined ? {} : { event }), attempt, delivery, nonce, until };
}

export function parked(lease: Lease): Lease {
  const { nonce: _, ...rest } = lease;
  return rest;
}

/**
 * Whether a delivery goes on with this lease. Of one chain the newer one does: a stale delivery must not take it from
 * its redelivery, which may have been completed since. One that has lost a lease takes back only what was parked.
 */
export function continues(lease: Lease, claimant: Claimant, hasHeld: boolean): boolean {
  if (lease.nonce === claimant.nonce) {
    return true;
  }
  if (lease.chain !== claimant.chain || (hasHeld && lease.nonce !== undefined)) {
    return false;
  }
  const order = claimant.attempt - lease.attempt || claimant.delivery - lease.delivery;
  return order > 0 || (order === 0 && lease.nonce === undefined);
}

export function isOver(lease: Lease, now: Date): boolean {
  return Date.parse(lease.until) <= now.getTime();
}
