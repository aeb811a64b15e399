import type { eventStatus } from './event-status.ts';

/** What the events say of a device or batch. */
export interface ShouldBe {
  readonly product?: string;
  readonly batch?: string;
  readonly enrollment?: 'individual' | 'group';
  readonly enrollmentGroupId?: string;
  readonly provisioningStatus?: 'enabled' | 'disabled';
  readonly life: 'expected' | 'manufactured' | 'scrapped' | 'started' | 'recalled' | 'retired';
  readonly inSync: boolean;
  readonly lastEvent?: string;
}

export interface SubjectDocument {
  readonly shouldBe: ShouldBe | null;
  readonly is: object | null;
  readonly did?: object | null;
  readonly events: ReturnType<typeof eventStatus>[];
}
