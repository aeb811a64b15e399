import type { JsonObject } from '../events/json.ts';
import type { EventWarning } from '../events/rejection.ts';
import type { FinalStatus, OutcomeFacts } from './subject-state.ts';

export interface Outcome {
  /** The event key; of a reused id `<key>-reuse-<8 hex digits>`. */
  readonly id: string;
  readonly status: FinalStatus;
  readonly finishedAt: string;
  /** As the event wrote it; undefined where it is not known. */
  readonly subject?: string | undefined;
  readonly event: {
    readonly source?: string | undefined;
    readonly id?: string | undefined;
    readonly type?: string | undefined;
    readonly time?: string | undefined;
  };
  readonly reason?: string | undefined;
  readonly detail?: string | undefined;
  readonly warnings: readonly EventWarning[];
  readonly facts?: OutcomeFacts | undefined;
}

/** The CloudEvent that tells ERP and MES how an event ended. */
export function outcomeEvent(outcome: Outcome): JsonObject & { id: string; type: string } {
  return {
    specversion: '1.0',
    id: outcome.id,
    source: '/enrollment',
    type: `enrollment.${outcome.status}`,
    ...(outcome.subject === undefined ? {} : { subject: outcome.subject }),
    time: outcome.finishedAt,
    datacontenttype: 'application/json',
    data: {
      event: {
        source: outcome.event.source,
        id: outcome.event.id,
        type: outcome.event.type,
        time: outcome.event.time,
      },
      ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
      ...(outcome.detail === undefined ? {} : { detail: outcome.detail }),
      ...outcome.facts,
      warnings: outcome.warnings,
    },
  };
}
