import type { EventKey } from '../../events/event-identity.ts';
import type { SubjectKind } from '../../events/manufacturing-event.ts';
import type { EventWarning, RejectionReason } from '../../events/rejection.ts';
import type { AboutSubject } from './about-subject.ts';
import type { Lease } from './lease.ts';
import { noRegisters, type Registers } from './registers.ts';

/** What should be of a device or batch, the events that wait for it, and what is known of DPS. The `state` row. */
export interface SubjectState {
  readonly registers: Registers;
  /** Counts the merges. */
  readonly revision: number;
  /** Merged events that have not ended. Their rows are written only together with this one. */
  readonly pending: readonly EventRecord[];
  /** Who completes. Absent: nobody, so the next delivery does. */
  readonly lease?: Lease;
  /** What DPS held when it was last written or read. */
  readonly dps?: KnownEnrollment;
  /** The adoption that found it in DPS. Without a revision no event has named it since. */
  readonly adoptedBy?: string;
  /** An individual enrollment or a group of ours may exist. */
  readonly mayExist: boolean;
  /** DPS may have been told what no row knows: an answer was lost, or a holder stopped. */
  readonly inDoubt?: true;
  /** Id of the message that will verify DPS once more, after any write that is still under way. */
  readonly look?: string;
  /** Events that have ended and whose outcomes may not be out. */
  readonly outcomesDue?: readonly EventKey[];
  /** Why the pending events wait, and until when. */
  readonly waiting?: Waiting;
  /** What a hold did where no event has defined anything, so that a release can undo it. */
  readonly closed?: 'disabled' | 'created';
  /** The hub that a device was assigned to when its registration record was deleted. */
  readonly assignedHub?: string;
  /** With HUB_ACCESS=close: where the device is connected, or was, and what was done about it. */
  readonly hubs?: readonly HubPlace[];
  /** With HUB_ACCESS=close, of a batch: how far its members' hubs are. */
  readonly members?: MembersAccess;
  readonly lastEvent?: EventKey;
  /** Since when events are pending; ISO 8601. */
  readonly pendingSince?: string;
}

/** An enrollment or group as DPS holds it: a hash of its content, and its etag where an answer told it. */
export type KnownEnrollment =
  | { readonly content?: string; readonly etag?: string; readonly absent?: false }
  | { readonly absent: true };

/** `pending`: it is being opened or closed, and the hub has not said yet that it agrees. */
export type HubAccess = 'open' | 'closed' | 'pending';

/** A device in a hub. Its id there keeps its case. */
export interface HubPlace {
  readonly hub: string;
  readonly deviceId: string;
  readonly access: HubAccess;
  /** The event for which it was closed; absent: for its profile. */
  readonly event?: EventKey;
}

/** A pass over all registration records of a batch, to open or close their devices' hubs. */
export interface MembersAccess {
  readonly wanted: 'open' | 'closed';
  readonly isDone: boolean;
  /** The event for which they are closed. */
  readonly event?: EventKey;
  /** When its first pass began; ISO 8601. A second one looks at what has registered since. */
  readonly since: string;
  /** The second pass. */
  readonly isLook?: true;
  /** DPS's token of the page that comes next, and the registration ids of it that are done. */
  readonly continuation?: string;
  readonly doneOfPage?: readonly string[];
  /** Devices done so far in this pass. */
  readonly done: number;
  /** Devices whose hub is not known, or has no such name any more. */
  readonly unknown: number;
  /** Devices that this pass changed in their hubs. */
  readonly written: number;
  /** The hubs that members were seen in. */
  readonly hubs: readonly string[];
  /** Somebody before may have sent writes that are still under way: everything is written anew. */
  readonly inDoubt?: true;
}

export interface Waiting {
  readonly nextAttemptAt: string;
  readonly detail: string;
  readonly trackingId?: string;
  /** Failed attempts so far. */
  readonly attempts: number;
}

export const emptyState: SubjectState = {
  registers: noRegisters,
  revision: 0,
  pending: [],
  mayExist: false,
};

export type EventStatus = 'accepted' | 'processing' | 'retrying' | 'succeeded' | 'superseded' | 'rejected';
export type FinalStatus = Extract<EventStatus, 'succeeded' | 'superseded' | 'rejected'>;

/** What an outcome tells about the subject besides the event. */
export interface OutcomeFacts {
  readonly enrollmentGroupId?: string;
  readonly provisioningStatus?: 'enabled' | 'disabled';
  readonly assignedHub?: string;
  /** DPS does not disconnect anybody: a device that was assigned stays connected, unless its hub is told, too. */
  readonly hubAccess?: HubAccess;
}

/** One event of a device or batch, without its data. An `event!<key>` row. */
export interface EventRecord {
  readonly key: EventKey;
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly time?: string;
  readonly fingerprint: string;
  readonly status: EventStatus;
  readonly receivedAt: string;
  readonly finishedAt?: string;
  readonly attempts: number;
  readonly nextAttemptAt?: string;
  readonly reason?: RejectionReason;
  readonly detail?: string;
  readonly pointer?: string;
  readonly warnings: readonly EventWarning[];
  readonly trackingId?: string;
  readonly facts?: OutcomeFacts;
  /** What may be kept of its body, while it is pending and its message is gone: DPS may reject it yet. */
  readonly body?: string;
  /** The replay that evaluated it last. */
  readonly replay?: string;
  /** Of the message that brought it. */
  readonly messageId?: string;
  /** The sender that signed it. */
  readonly sender?: string;
  /** What its subject is known by; set when it ends. */
  readonly about?: AboutSubject;
}

export function isFinal(status: EventStatus): status is FinalStatus {
  return status === 'succeeded' || status === 'superseded' || status === 'rejected';
}

/** DPS was brought to agree with all events. */
export function isInSync(state: SubjectState): boolean {
  return state.pending.length === 0;
}

/** A pending event waits for what its device waits for: for DPS, or for the event that brings its keys. */
export function withWaiting(record: EventRecord, state: SubjectState | undefined): EventRecord {
  const isPending = state?.pending.some(({ key }) => key === record.key);
  if (!state || !isPending || isFinal(record.status)) {
    return record;
  }
  const { keys } = state.registers;
  const waitsForKeys = keys && !keys.applied && keys.version.key !== record.key;
  if (!state.waiting && !waitsForKeys) {
    return record;
  }
  const { attempts = 1, ...why } = state.waiting ?? {};
  return {
    ...record,
    ...why,
    ...(waitsForKeys
      ? { detail: `Waits for event ${keys.version.key}, which brings the device's keys.` }
      : {}),
    status: 'retrying',
    attempts: Math.max(record.attempts, attempts),
  };
}

export interface SubjectRef {
  readonly kind: SubjectKind;
  /** In lower case. */
  readonly id: string;
}
