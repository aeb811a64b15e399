import type { EventKey } from '../../events/event-identity.ts';
import { RowConflictError } from '../../storage/tables.ts';
import type { Ledger, LedgerView } from '../ledger/ledger.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';

/** Outcomes of events whose own messages are gone: published, and then cleared from the state. */
export class OutcomesDue {
  readonly #ledger: Ledger;
  readonly #outcomes: OutcomePublisher;
  /** By subject. Of a burst of events each delivery meets the same ones. */
  readonly #underWay = new Map<
    string,
    { readonly keys: ReadonlySet<EventKey>; readonly end: Promise<void> }
  >();

  constructor(ledger: Ledger, outcomes: OutcomePublisher) {
    this.#ledger = ledger;
    this.#outcomes = outcomes;
  }

  /** Resolves when all that the view names are out, whoever published them. */
  async publish(view: LedgerView, published: readonly EventKey[]): Promise<void> {
    const keys = new Set(view.state.outcomesDue ?? []);
    const name = `${view.subject.kind} ${view.subject.id}`;
    const other = this.#underWay.get(name);
    if (other && [...keys].every((key) => other.keys.has(key))) {
      return other.end;
    }
    const end = this.#publish(view, published);
    this.#underWay.set(name, { keys, end });
    try {
      await end;
    } finally {
      if (this.#underWay.get(name)?.end === end) {
        this.#underWay.delete(name);
      }
    }
  }

  async #publish(view: LedgerView, published: readonly EventKey[]): Promise<void> {
    const due = view.state.outcomesDue ?? [];
    const missing = due.filter((key) => !published.includes(key));
    const { events } = missing.length > 0 ? await this.#ledger.read(view.subject, missing) : view;
    await Promise.all(
      missing.map((key) => {
        const record = events.get(key)?.record;
        return record && this.#outcomes.publishEnd(record);
      }),
    );
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
