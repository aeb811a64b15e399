import type { HubAccess } from '../enrollment/ledger/subject-state.ts';
import type { eventStatus } from './event-status.ts';

/** What the events say of a device or batch. */
export interface ShouldBe {
  readonly product?: string;
  readonly batch?: string;
  readonly enrollment?: 'individual' | 'group';
  readonly enrollmentGroupId?: string;
  readonly provisioningStatus?: 'enabled' | 'disabled';
  readonly life: 'expected' | 'manufactured' | 'scrapped' | 'started' | 'recalled' | 'retired';
  /** Why it is held, where the event that holds it says so. */
  readonly holdReason?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** With HUB_ACCESS=close, of what was ever closed. */
  readonly hubAccess?: HubAccess;
  readonly inSync: boolean;
  readonly lastEvent?: string;
}

/** What could not be read from DPS now, and why. */
export interface NotKnown {
  readonly members: readonly ('is' | 'did')[];
  readonly detail: string;
}

export interface SubjectDocument {
  readonly shouldBe: ShouldBe | null;
  /** Absent where DPS could not be read; null where it has none. */
  readonly is?: object | null;
  readonly did?: object | null;
  readonly notKnown?: NotKnown;
  readonly events: ReturnType<typeof eventStatus>[];
}
