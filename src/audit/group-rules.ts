import { desiredState } from '../enrollment/ledger/desired-state.ts';
import { subjectOf } from '../enrollment/ledger/ledger.ts';
import type { SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { AuditStep } from './audit-step.ts';

/** What holds for every member of a group. */
export interface GroupRule {
  /** What the events did to the batch; absent: its devices may register. */
  readonly closedBy?: 'held' | 'recalled';
  /** With HUB_ACCESS=close: the members' hubs were all told so. */
  readonly hubsAreClosed?: boolean;
  readonly iotHubs?: readonly string[];
}

/** Read once a group and step: a page of devices has a handful of groups. */
export class GroupRules {
  readonly #step: AuditStep;
  readonly #ofBatches = new Map<string, Promise<GroupRule | undefined>>();

  constructor(step: AuditStep) {
    this.#step = step;
  }

  async of(groupId: string, member: SubjectState): Promise<GroupRule> {
    const key = groupId.toLowerCase();
    const known = this.#ofBatches.get(key) ?? this.#ofBatch(key);
    this.#ofBatches.set(key, known);
    return (await known) ?? this.#ofProfile(member);
  }

  async #ofBatch(id: string): Promise<GroupRule | undefined> {
    const { ledger, profiles } = this.#step.parts;
    const state = await ledger.readState(subjectOf('batch', id));
    const desired = state && desiredState('batch', id, state.registers, profiles);
    if (desired?.kind !== 'group') {
      return undefined;
    }
    const { provisioningStatus, iotHubs } = desired.group;
    const members = state?.members;
    const hubsAreClosed = members?.wanted === 'closed' && members.isDone && members.unknown === 0;
    return {
      ...(provisioningStatus === 'disabled'
        ? { closedBy: state?.registers.life?.life === 'recalled' ? 'recalled' : 'held' }
        : {}),
      ...(hubsAreClosed ? { hubsAreClosed } : {}),
      ...(iotHubs ? { iotHubs } : {}),
    };
  }

  /** A group that is managed elsewhere: nothing closes it here, and the profile says what is expected of it. */
  #ofProfile({ registers }: SubjectState): GroupRule {
    const product = registers.definitions[0]?.definition.product;
    const iotHubs = product === undefined ? undefined : this.#step.parts.profiles.for(product)?.iotHubs;
    return iotHubs ? { iotHubs } : {};
  }
}

/** Whether whoever the group lets in is welcome: its profile says so, by the group's name or by its batch's product. */
export async function welcomesAnybody({ parts }: AuditStep, groupId: string): Promise<boolean> {
  const { ledger, profiles } = parts;
  const isNamed = profiles.all.some(
    ({ members, enrollmentGroup }) => members === 'any' && enrollmentGroup?.toLowerCase() === groupId,
  );
  if (isNamed) {
    return true;
  }
  const batch = await ledger.readState(subjectOf('batch', groupId));
  const product = batch?.registers.definitions[0]?.definition.product;
  return product !== undefined && profiles.for(product)?.members === 'any';
}
