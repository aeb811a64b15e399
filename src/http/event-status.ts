import type { EventRecord } from '../enrollment/ledger/subject-state.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';

/** One event as its status resource shows it. */
export function eventStatus(record: EventRecord) {
  const { key, source, id, type, subject, time, status, receivedAt, finishedAt, attempts, nextAttemptAt } =
    record;
  const { reason, detail, pointer, warnings, trackingId } = record;
  return {
    key,
    source,
    id,
    type,
    subject,
    time,
    status,
    receivedAt,
    finishedAt,
    attempts,
    nextAttemptAt,
    reason,
    detail,
    pointer,
    warnings,
    trackingId,
  };
}

export function statusUrl(
  origin: string,
  event: { readonly subjectKind: SubjectKind; readonly subject: string; readonly key: string },
): string {
  const collection = event.subjectKind === 'device' ? 'devices' : 'batches';
  return `${origin}/api/${collection}/${encodeURIComponent(event.subject)}/events/${event.key}`;
}
