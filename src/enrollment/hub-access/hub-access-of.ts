import type { HubAccess, SubjectState } from '../ledger/subject-state.ts';

/** What is known of a device's hubs, or those of a batch's members; undefined where nothing was ever closed. */
export function hubAccessOf({ hubs, members, pending }: SubjectState): HubAccess | undefined {
  if (members) {
    return members.isDone && members.unknown === 0 ? members.wanted : 'pending';
  }
  const [first] = hubs ?? [];
  if (!first) {
    return undefined;
  }
  const isUnderWay = pending.length > 0 || hubs?.some(({ access }) => access === 'pending');
  return isUnderWay ? 'pending' : (hubs?.find(({ access }) => access === 'open') ?? first).access;
}
