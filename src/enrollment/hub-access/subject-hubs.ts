import type { DeviceRegistrationState } from '../../dps/models.ts';
import { type DesiredState, desiredState, isKeptOut } from '../ledger/desired-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { EnrollmentProfiles } from '../ledger/profiles.ts';
import type { HubPlace, OutcomeFacts, SubjectRef, SubjectState } from '../ledger/subject-state.ts';
import { type ClosingReason, closingReason } from './closing-reason.ts';
import type { DeviceHubs } from './device-hubs.ts';
import type { MemberHubs } from './member-hubs.ts';

export interface SubjectHubsParts {
  readonly devices: DeviceHubs;
  readonly members: MemberHubs;
  readonly ledger: Pick<Ledger, 'readState'>;
  readonly profiles: EnrollmentProfiles;
}

/** One attempt of a holder to make the hubs agree, after DPS does. */
export interface HubAttempt {
  readonly subject: SubjectRef;
  readonly state: SubjectState;
  readonly desired: DesiredState;
  readonly registration: DeviceRegistrationState | undefined;
  /** Minutes after the events ended: what was under way then is over by now. */
  readonly isLook: boolean;
  /** An enrollment of it may have let it in before. */
  readonly mayHaveBeenLetIn: boolean;
  readonly tries: number;
  readonly deadline: number;
  readonly isWanted: () => Promise<boolean>;
  readonly remember: (known: HubKnowledge) => Promise<void>;
}

export type HubKnowledge = Pick<SubjectState, 'hubs' | 'members'>;

export interface HubFindings {
  readonly known: HubKnowledge;
  readonly facts: Pick<OutcomeFacts, 'assignedHub' | 'hubAccess'>;
  /** A registration, or a write, may still be under way. */
  readonly needsLook: boolean;
  /** The next slice goes on. */
  readonly isMore: boolean;
}

/** With HUB_ACCESS=close: what is kept out of DPS is kept out of the hubs, too, and comes back with it. */
export class SubjectHubs {
  readonly #parts: SubjectHubsParts;

  constructor(parts: SubjectHubsParts) {
    this.#parts = parts;
  }

  settle(attempt: HubAttempt): Promise<HubFindings> {
    return attempt.subject.kind === 'device' ? this.#device(attempt) : this.#members(attempt);
  }

  /** What a retired batch's registration records name goes from the hubs before they are deleted. */
  beforeDeletion(attempt: Pick<HubAttempt, 'subject' | 'tries' | 'deadline' | 'isWanted'>) {
    const task = { ...attempt, enrollmentGroupId: attempt.subject.id };
    return (records: readonly DeviceRegistrationState[]) => this.#parts.members.remove(task, records);
  }

  async #device(attempt: HubAttempt): Promise<HubFindings> {
    const { subject, state, desired, registration } = attempt;
    const isScrapped = state.registers.life?.life === 'scrapped';
    const closes = isKeptOut(desired, state.registers);
    const groupId = groupOf(desired);
    const { places, shown, wrote, looked } = await this.#parts.devices.settle({
      ...attempt,
      registrationId: subject.id,
      enrollmentGroupId: groupId,
      known: state.hubs,
      wanted: !closes ? 'open' : isScrapped ? 'removed' : 'closed',
      reason: closingReason('device', state.registers),
      standing: () => this.#closedBatch(groupId),
      remember: (hubs) => attempt.remember({ hubs }),
    });
    // Born held: no registration can be under way.
    const isNew = desired.kind === 'enrollment' && !attempt.mayHaveBeenLetIn;
    const wasNeverIn = places.length === 0 && !registration && isNew;
    const isNews = wrote || (looked && state.pending.length > 0);
    return {
      known: places.length > 0 || closes ? { hubs: places } : {},
      facts: factsOf(shown),
      needsLook: closes && isNews && !wasNeverIn,
      isMore: false,
    };
  }

  async #members(attempt: HubAttempt): Promise<HubFindings> {
    const { subject, state, desired } = attempt;
    if (desired.kind === 'no-group') {
      // Its records are gone, and what they named went before them.
      return { known: {}, facts: { hubAccess: 'closed' }, needsLook: false, isMore: false };
    }
    const closes = isClosedBatch(desired);
    const members = await this.#parts.members.slice({
      ...attempt,
      enrollmentGroupId: subject.id,
      known: state.members,
      wanted: closes ? 'closed' : 'open',
      reason: closingReason('batch', state.registers),
      standing: (id) => this.#closedDevice(id),
      inDoubt: state.inDoubt === true,
      save: (progress) => attempt.remember({ members: progress }),
    });
    if (!members) {
      return { known: {}, facts: {}, needsLook: false, isMore: false };
    }
    const isNews = members !== state.members;
    const access = members.unknown > 0 ? 'pending' : members.wanted;
    return {
      known: { members },
      facts: closes || isNews ? { hubAccess: access } : {},
      needsLook: closes && isNews && (!members.isLook || members.written > 0),
      isMore: !members.isDone,
    };
  }

  async #closedBatch(id: string | undefined): Promise<ClosingReason | undefined> {
    return id === undefined ? undefined : this.#reasonOf({ kind: 'batch', id: id.toLowerCase() });
  }

  #closedDevice(registrationId: string): Promise<ClosingReason | undefined> {
    return this.#reasonOf({ kind: 'device', id: registrationId.toLowerCase() });
  }

  async #reasonOf(subject: SubjectRef): Promise<ClosingReason | undefined> {
    const state = await this.#parts.ledger.readState(subject);
    if (!state) {
      return undefined;
    }
    const { kind, id } = subject;
    const desired = desiredState(kind, id, state.registers, this.#parts.profiles);
    const isClosed = kind === 'batch' ? isClosedBatch(desired) : isKeptOut(desired, state.registers);
    return isClosed ? closingReason(kind, state.registers) : undefined;
  }
}

function isClosedBatch(desired: DesiredState): boolean {
  const isDisabled = desired.kind === 'group' && desired.group.provisioningStatus === 'disabled';
  return isDisabled || desired.kind === 'shut' || desired.kind === 'no-group';
}

function groupOf(desired: DesiredState): string | undefined {
  return 'enrollmentGroupId' in desired ? desired.enrollmentGroupId : undefined;
}

/** Of several places the one that is not closed is what people have to know. */
function factsOf(shown: readonly HubPlace[]): HubFindings['facts'] {
  const worst =
    shown.find(({ access }) => access === 'pending') ??
    shown.find(({ access }) => access === 'open') ??
    shown[0];
  return worst ? { assignedHub: worst.hub, hubAccess: worst.access } : {};
}
