import type { Clock } from '../clock.ts';
import { RowConflictError } from '../storage/tables.ts';
import type { BackgroundQueue } from './background-queue.ts';
import { LaterError } from './later-error.ts';
import type { Ledger } from './ledger.ts';
import type { OutcomePublisher } from './outcome-publisher.ts';
import { endingOf, judgedFrom, type SubjectSettlement } from './subject-settlement.ts';
import { type EventRecord, isFinal, type SubjectRef } from './subject-state.ts';

const patienceInMs = 60_000;
const conflictsToLose = 10;

export interface SweeperParts {
  readonly ledger: Ledger;
  readonly settlement: SubjectSettlement;
  readonly outcomes: OutcomePublisher;
  readonly background: BackgroundQueue;
  readonly clock: Clock;
}

/** Completes a device or batch without any of its messages: they are gone, or have left the rest to the background. */
export class SubjectSweeper {
  readonly #parts: SweeperParts;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /** Brings DPS in line and ends every event that was merged. `unfinished`: another slice is needed. */
  async complete(subject: SubjectRef): Promise<'finished' | 'unfinished'> {
    for (let lost = 0; lost < conflictsToLose; lost++) {
      try {
        return await this.#complete(subject);
      } catch (error) {
        if (!(error instanceof RowConflictError)) throw error;
        await this.#parts.clock.sleep(Math.random() * 50);
      }
    }
    throw new LaterError('Others write the device or batch too often.');
  }

  async #complete(subject: SubjectRef): Promise<'finished' | 'unfinished'> {
    const { ledger, settlement, outcomes, clock } = this.#parts;
    const deadline = clock.now().getTime() + patienceInMs;
    const noEvent = '';
    const settled = await settlement.settle(await ledger.read(subject, noEvent), {
      deadline,
      mayExist: true,
    });
    if (settled.unfinished) return 'unfinished';
    // In sync is what is written last: whatever stops us before, the next sweep begins again.
    const { appliedRevision, pendingSince } = settled.entry.state;
    const unfinished = { appliedRevision, ...(pendingSince === undefined ? {} : { pendingSince }) };
    let state = settled.state;
    let written = settled.entry;
    for (const record of await ledger.readEvents(subject)) {
      const judged = isMerged(record) ? judgedFrom(record) : undefined;
      if (!judged) continue;
      const current = await ledger.read(subject, record.key);
      if (!current.event || !isMerged(current.event)) continue;
      const { ending, state: remaining } = endingOf(state, judged);
      // Only its message still knows what it says.
      if (ending.status === 'crowded-out') continue;
      const rejection = ending.status === 'rejected' ? ending.rejection : {};
      const { nextAttemptAt: _, detail: __, ...rest } = current.event;
      const finishedAt = clock.now().toISOString();
      const event: EventRecord = {
        ...rest,
        ...rejection,
        status: ending.status,
        finishedAt,
        facts: settled.facts,
      };
      // On condition of the state that the ending was judged by, not of the one just read beside the event.
      state = { ...remaining, outcomesDue: [...(remaining.outcomesDue ?? []), record.key] };
      const write = { state: { ...state, ...unfinished }, event };
      written = await ledger.write({ ...current, stateEtag: written.stateEtag }, write);
    }
    const { outcomesDue = [], ...told } = state;
    for (const key of outcomesDue) {
      const event = await ledger.readEvent(subject, key);
      if (event) await outcomes.publishEnd(event);
    }
    await ledger.write(written, { state: told });
    return 'finished';
  }
}

/** `accepted` events have not been looked at: only their message can say what they hold. */
function isMerged(record: EventRecord): boolean {
  return !isFinal(record.status) && record.status !== 'accepted';
}
