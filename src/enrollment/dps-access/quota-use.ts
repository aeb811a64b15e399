import type { Table } from '../../storage/tables.ts';
import type { Clock } from '../../tools/clock.ts';
import type { QuotaWindow } from './quota-window.ts';

const minuteInMs = 60_000;

/** Reads how much of the DPS instance's operations was spent in the last minute, by all instances of the app. */
export class QuotaUse {
  readonly #table: Table;
  readonly #host: string;
  readonly #perMinute: number;
  readonly #clock: Clock;

  constructor(table: Table, host: string, perMinute: number, clock: Clock) {
    this.#table = table;
    this.#host = host;
    this.#perMinute = perMinute;
    this.#clock = clock;
  }

  async read(): Promise<{
    readonly perMinute: number;
    readonly used: number;
    readonly closedUntil?: string;
  }> {
    const row = await this.#table.get(this.#host, 'tokens');
    if (!row) {
      return { perMinute: this.#perMinute, used: 0 };
    }
    const { slots, closedUntil } = JSON.parse(String(row.values.window)) as QuotaWindow;
    const now = this.#clock.now().getTime();
    const used = slots
      .filter(([second]) => second * 1_000 > now - minuteInMs)
      .reduce((sum, [, pipeline, audit]) => sum + pipeline + audit, 0);
    return {
      perMinute: this.#perMinute,
      used,
      ...(closedUntil > now ? { closedUntil: new Date(closedUntil).toISOString() } : {}),
    };
  }
}
