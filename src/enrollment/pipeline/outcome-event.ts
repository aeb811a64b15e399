import type { Addressing, PublishedEvent } from '../../events/event-bus.ts';
import type { EventWarning } from '../../events/rejection.ts';
import type { AboutSubject } from '../ledger/about-subject.ts';
import type { FinalStatus, OutcomeFacts } from '../ledger/subject-state.ts';

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
  /** Of the message that brought the event. */
  readonly messageId?: string | undefined;
  readonly about?: AboutSubject | undefined;
  readonly reason?: string | undefined;
  readonly detail?: string | undefined;
  readonly warnings: readonly EventWarning[];
  readonly facts?: OutcomeFacts | undefined;
}

/** The CloudEvent that tells ERP and MES how an event ended. */
export function outcomeEvent(outcome: Outcome): PublishedEvent {
  const { source, id, type, time } = outcome.event;
  return {
    specversion: '1.0',
    id: outcome.id,
    source: '/enrollment',
    type: `enrollment.${outcome.status}`,
    ...(outcome.subject === undefined ? {} : { subject: outcome.subject }),
    time: outcome.finishedAt,
    datacontenttype: 'application/json',
    data: {
      event: { source, id, type, time },
      ...(outcome.messageId === undefined ? {} : { messageId: outcome.messageId }),
      ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
      ...(outcome.detail === undefined ? {} : { detail: outcome.detail }),
      ...outcome.about,
      ...outcome.facts,
      warnings: outcome.warnings,
    },
  };
}

/** Service Bus refuses longer subjects and correlation ids. */
const longestAddress = 128;

/** What filters of subscriptions see of an outcome, and what matches it with the message that was sent. */
export function addressOf({ status, reason, event, about, subject, messageId }: Outcome): Addressing {
  const { product, batch } = about ?? {};
  const properties = Object.entries({ status, reason, source: event.source, product, batch }).flatMap(
    ([name, value]) => (value === undefined ? [] : [[name, value] as const]),
  );
  return {
    subject: subject?.slice(0, longestAddress),
    correlationId: messageId?.slice(0, longestAddress),
    properties: Object.fromEntries(properties),
  };
}
