import type { Table } from './storage/tables.ts';
import type { Clock } from './tools/clock.ts';
import type { Log } from './tools/log.ts';

/** What the status page tells of the circuit breaker: the last that any instance of the app has said. */
export interface CircuitState {
  readonly isOpen: boolean;
  readonly since: string;
  readonly cause: string;
}

const row = 'circuit';
const longestCause = 1_000;

/**
 * Keeps what the instances' circuit breakers log when they open and close, beside the budget that they share: each has
 * its own, and the newest word is the best there is.
 */
export class CircuitRecord {
  readonly #table: Table;
  readonly #host: string;
  readonly #clock: Clock;

  constructor(table: Table, host: string, clock: Clock) {
    this.#table = table;
    this.#host = host;
    this.#clock = clock;
  }

  /** A log that keeps the lines of a circuit breaker, too. */
  logging(log: Log): Log {
    return (level, message, fields) => {
      log(level, message, fields);
      const said = /^dps-(un)?available: (.*)$/s.exec(message);
      if (!said) {
        return;
      }
      const isOpen = said[1] !== undefined;
      const cause = (said[2] ?? '').replace(/^events wait until DPS can be used again\. /, '');
      const state: CircuitState = {
        isOpen,
        since: this.#clock.now().toISOString(),
        cause: cause.slice(0, longestCause),
      };
      // People read it, and nothing else depends on it.
      this.#table.upsert(this.#host, row, { ...state }).catch(() => undefined);
    };
  }

  async read(): Promise<CircuitState | undefined> {
    const found = await this.#table.get(this.#host, row);
    if (!found) {
      return undefined;
    }
    const { isOpen, since, cause } = found.values;
    return { isOpen: isOpen === true, since: String(since), cause: String(cause) };
  }
}
