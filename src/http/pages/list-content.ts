import type { SubjectKind } from '../../events/manufacturing-event.ts';
import type { FleetFilter } from '../../fleet/fleet-filter.ts';
import type { FleetPage } from '../../fleet/fleet-list.ts';
import type { FleetSummary } from '../../fleet/fleet-summary.ts';

export interface ListContent {
  readonly kind: SubjectKind;
  readonly filter: FleetFilter;
  readonly page: FleetPage;
  readonly isFirst: boolean;
  readonly pageSize: number;
  /** Of the newest audit; undefined: there was none yet. */
  readonly summary: FleetSummary | undefined;
  readonly auditedAt: string | undefined;
}
