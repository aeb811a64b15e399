import type { EventIdentity } from '../../events/manufacturing-event.ts';
import type { DecodedMessage } from '../../events/queue-message.ts';
import type { EventWarning } from '../../events/rejection.ts';
import type { EventRecord } from './subject-state.ts';

/** Of an event that has arrived and was not looked at yet. */
export function acceptedRecord(identity: EventIdentity, arrivedAt: Date): EventRecord {
  return {
    ...namesOf(identity),
    status: 'accepted',
    receivedAt: arrivedAt.toISOString(),
    attempts: 0,
    warnings: [],
  };
}

/** The ledger's record of an event that is merged. */
export function recordOf(
  identity: EventIdentity,
  message: DecodedMessage,
  known: EventRecord | undefined,
  warnings: readonly EventWarning[],
): EventRecord {
  return {
    ...namesOf(identity),
    status: 'processing',
    receivedAt: known?.receivedAt ?? message.firstSeen.toISOString(),
    attempts: Math.max(message.tries, message.deliveryCount, known?.attempts ?? 0),
    warnings,
    ...(message.replay === undefined ? {} : { replay: message.replay }),
    ...(message.messageId === undefined ? {} : { messageId: message.messageId }),
    ...(message.sender === undefined ? {} : { sender: message.sender }),
  };
}

function namesOf({ key, source, id, type, subject, time, fingerprint }: EventIdentity) {
  return { key, source, id, type, subject, ...(time === undefined ? {} : { time }), fingerprint };
}
