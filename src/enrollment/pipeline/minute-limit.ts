import { RowConflictError, StorageUnavailableError, type Table } from '../../storage/tables.ts';
import type { Clock } from '../../tools/clock.ts';

const minuteInMs = 60_000;
const conflictsAtMost = 50;
const longestPauseInMs = 40;

interface MinuteCount {
  /** Minutes since 1970. */
  readonly minute: number;
  readonly count: number;
}

/**
 * So many of something a minute of the clock, over all instances of the app, and no waiting: whoever comes later is
 * turned away.
 */
export class MinuteLimit {
  readonly #table: Table;
  readonly #partition: string;
  readonly #row: string;
  readonly #perMinute: number;
  readonly #clock: Clock;

  constructor(table: Table, place: { partition: string; row: string }, perMinute: number, clock: Clock) {
    this.#table = table;
    this.#partition = place.partition;
    this.#row = place.row;
    this.#perMinute = perMinute;
    this.#clock = clock;
  }

  /** Undefined: there was room for one more. Else seconds until there is again. */
  async take(): Promise<number | undefined> {
    for (let conflicts = 0; conflicts < conflictsAtMost; conflicts++) {
      const now = this.#clock.now().getTime();
      const stored = await this.#table.get(this.#partition, this.#row);
      const { minute, count } = countAt(Math.floor(now / minuteInMs), stored?.values.window);
      if (count >= this.#perMinute) {
        return Math.max(1, Math.ceil(((minute + 1) * minuteInMs - now) / 1_000));
      }
      try {
        await this.#write({ minute, count: count + 1 }, stored?.etag);
        return undefined;
      } catch (error) {
        if (!(error instanceof RowConflictError)) {
          throw error;
        }
        await this.#clock.sleep(Math.random() * longestPauseInMs);
      }
    }
    throw new StorageUnavailableError('Too many callers write the counter of this minute.');
  }

  #write(window: MinuteCount, etag: string | undefined): Promise<string> {
    const values = { window: JSON.stringify(window) };
    return etag === undefined
      ? this.#table.insert(this.#partition, this.#row, values)
      : this.#table.replace(this.#partition, this.#row, values, etag);
  }
}

/** An instance whose clock is a little behind goes on counting in the newer minute; one that was far ahead is not believed. */
function countAt(minute: number, stored: unknown): MinuteCount {
  const known: MinuteCount | undefined = stored === undefined ? undefined : JSON.parse(String(stored));
  const isCurrent = known && (known.minute === minute || known.minute === minute + 1);
  return isCurrent ? known : { minute, count: 0 };
}
