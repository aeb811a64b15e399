import { compareText } from '../events/compare-text.ts';
import type { EventKey } from '../events/event-identity.ts';
import type { Instant } from '../events/instant.ts';

/** Who wrote a register, in the order in which writers beat each other. */
export interface Stamp {
  readonly at: Instant;
  /** At equal times the safer event wins: the greater rank. */
  readonly rank: number;
  readonly source: string;
  readonly id: string;
  readonly key: EventKey;
}

export function compareStamps(left: Stamp, right: Stamp): number {
  return (
    compareText(left.at, right.at) ||
    left.rank - right.rank ||
    compareText(left.source, right.source) ||
    compareText(left.id, right.id)
  );
}
