import type { EventBus } from '../../events/event-bus.ts';
import { type EventRecord, isFinal } from '../ledger/subject-state.ts';
import { addressOf, type Outcome, outcomeEvent } from './outcome-event.ts';

/** Tells the topic how events ended: at least once each, and copies look the same. */
export class OutcomePublisher {
  readonly #bus: EventBus;

  constructor(bus: EventBus) {
    this.#bus = bus;
  }

  publish(outcome: Outcome): Promise<void> {
    return this.#bus.publish(outcomeEvent(outcome), addressOf(outcome));
  }

  /** Of an event that has not ended there is nothing to tell. */
  async publishEnd(record: EventRecord): Promise<void> {
    const { key, status, finishedAt, subject, reason, detail, warnings, facts, messageId, about } = record;
    if (!isFinal(status) || finishedAt === undefined) {
      return;
    }
    await this.publish({
      id: key,
      status,
      finishedAt,
      subject,
      event: record,
      messageId,
      about,
      reason,
      detail,
      warnings,
      facts,
    });
  }
}
