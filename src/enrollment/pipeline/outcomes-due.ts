import type { EventKey } from '../../events/event-identity.ts';
import { RowConflictError } from '../../storage/tables.ts';
import type { Ledger, LedgerView } from '../ledger/ledger.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';

/** Outcomes of events whose own messages are gone: published, and then cleared from the state. */
export class OutcomesDue {
  readonly #ledger: Ledger;
  readonly #outcomes: OutcomePublisher;

  constructor(ledger: Ledger, outcomes: OutcomePublisher) {
    this.#ledger = ledger;
    this.#outcomes = outcomes;
  }

  async publish(view: LedgerView, published: readonly EventKey[]): Promise<void> {
    const due = view.state.outcomesDue ?? [];
    const missing = due.filter((key) => !published.includes(key));
    const { events } = missing.length > 0 ? await this.#ledger.read(view.subject, missing) : view;
    for (const key of missing) {
      const record = events.get(key)?.record;
      await (record && this.#outcomes.publishEnd(record));
    }
    await this.#clear(view, due);
  }

  async #clear(view: LedgerView, published: readonly EventKey[]): Promise<void> {
    for (let current = view; ; current = await this.#ledger.read(view.subject)) {
      const { outcomesDue = [], ...rest } = current.state;
      const left = outcomesDue.filter((key) => !published.includes(key));
      if (left.length === outcomesDue.length) {
        return;
      }
      try {
        await this.#ledger.write(current, {
          state: left.length > 0 ? { ...rest, outcomesDue: left } : rest,
        });
        return;
      } catch (error) {
        if (!(error instanceof RowConflictError)) {
          throw error;
        }
      }
    }
  }
}
