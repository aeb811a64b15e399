import type { EventKey } from '../events/event-identity.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import type { EventWarning, Rejection, RejectionReason } from '../events/rejection.ts';
import type { AboutSubject } from './about-subject.ts';
import { noRegisters, type Registers } from './registers.ts';

/** What was said of a device or batch, and how far DPS was brought to agree. The `state` row. */
export interface SubjectState {
  readonly registers: Registers;
  /** Counts the merges that changed a register. */
  readonly revision: number;
  /** The revision that DPS was last brought to agree with. Equal to `revision`: in sync. */
  readonly appliedRevision: number;
  /** An individual enrollment or a group of ours may exist: so a change of mind has something to remove. */
  readonly mayExist: boolean;
  /** The hub that a device was assigned to when its registration record was deleted. */
  readonly assignedHub?: string;
  readonly lastEvent?: EventKey;
  /** Since when the state is not applied; ISO 8601. */
  readonly pendingSince?: string;
  /** Definitions that DPS refused, until their messages end. */
  readonly refusals: Readonly<Record<EventKey, Rejection>>;
  /** Events that a sweep has ended, until their outcomes are out: no message of theirs is left to see to it. */
  readonly outcomesDue?: readonly EventKey[];
}

export const emptyState: SubjectState = {
  registers: noRegisters,
  revision: 0,
  appliedRevision: 0,
  mayExist: false,
  refusals: {},
};

export type EventStatus = 'accepted' | 'processing' | 'retrying' | 'succeeded' | 'superseded' | 'rejected';
export type FinalStatus = Extract<EventStatus, 'succeeded' | 'superseded' | 'rejected'>;

/** What an outcome tells about the subject besides the event. */
export interface OutcomeFacts {
  readonly enrollmentGroupId?: string;
  readonly provisioningStatus?: 'enabled' | 'disabled';
  readonly assignedHub?: string;
  /** DPS does not disconnect anybody: a device that was assigned stays connected to its hub. */
  readonly hubAccess?: 'open';
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
  /** The replay that judged it last. */
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

/** The state once DPS agrees with it. */
export function inSync(state: SubjectState): SubjectState {
  const { pendingSince: _, ...rest } = state;
  return { ...rest, appliedRevision: state.revision };
}

export function isInSync(state: SubjectState): boolean {
  return state.revision === state.appliedRevision;
}

export interface SubjectRef {
  readonly kind: SubjectKind;
  /** In lower case. */
  readonly id: string;
}
