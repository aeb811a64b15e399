import { compareText } from '../../events/compare-text.ts';
import type { EventKey } from '../../events/event-identity.ts';
import type { Instant } from '../../events/instant.ts';

/** Who wrote a register, in the order in which writers beat each other. */
export interface Version {
  readonly at: Instant;
  /** At equal times the safer event wins: the greater tieBreak. */
  readonly tieBreak: number;
  readonly source: string;
  readonly id: string;
  readonly key: EventKey;
}

export function compareVersions(left: Version, right: Version): number {
  return (
    compareText(left.at, right.at) ||
    left.tieBreak - right.tieBreak ||
    compareText(left.source, right.source) ||
    compareText(left.id, right.id)
  );
}
