import { RowConflictError, type Table } from '../../storage/tables.ts';
import type { Clock } from '../../tools/clock.ts';
import {
  type CallerClass,
  close,
  emptyWindow,
  type QuotaLimits,
  type QuotaWindow,
  take,
} from './quota-window.ts';
import { RetryLaterError } from './retry-later-error.ts';

interface Waiter {
  readonly deadline: number;
  grant(): void;
  refuse(error: unknown): void;
}

/** Tokens that were taken ahead are used within this time or not at all: the row counts them as spent now. */
const tokensLastInMs = 500;

/**
 * The DPS instance's operations a minute, shared by all instances of the app through one row. Callers wait for a
 * token each; tokens are taken in blocks, as many as are waited for.
 */
export class OperationsBudget {
  readonly #table: Table;
  readonly #host: string;
  readonly #limits: QuotaLimits;
  readonly #clock: Clock;
  readonly #waiting: Record<CallerClass, Waiter[]> = { pipeline: [], audit: [] };
  readonly #fetching: Record<CallerClass, boolean> = { pipeline: false, audit: false };
  readonly #tokens: Record<CallerClass, { left: number; until: number }> = {
    pipeline: { left: 0, until: 0 },
    audit: { left: 0, until: 0 },
  };
  #known: { window: QuotaWindow; etag: string | undefined } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(table: Table, host: string, limits: QuotaLimits, clock: Clock) {
    this.#table = table;
    this.#host = host;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Resolves once the caller may make one call. Past the deadline (milliseconds since 1970): a RetryLaterError. */
  acquire(callerClass: CallerClass, deadline: number): Promise<void> {
    const tokens = this.#tokens[callerClass];
    if (tokens.left > 0 && this.#clock.now().getTime() < tokens.until) {
      tokens.left--;
      return Promise.resolve();
    }
    return new Promise((grant, refuse) => {
      this.#waiting[callerClass].push({ deadline, grant, refuse });
      void this.#serve(callerClass);
    });
  }

  /** A token that turned out not to be needed: the next caller of this instance has it. */
  giveBack(callerClass: CallerClass): void {
    const next = this.#waiting[callerClass].shift();
    if (next) {
      next.grant();
      return;
    }
    const tokens = this.#tokens[callerClass];
    const now = this.#clock.now().getTime();
    // Its second is counted as spent: it is worth something only as long as other tokens taken ahead are.
    this.#tokens[callerClass] = {
      left: (now < tokens.until ? tokens.left : 0) + 1,
      until: now + tokensLastInMs,
    };
  }

  /** DPS answered 429: what is left of the tokens is worthless, for every instance. */
  async throttled(retryAfterInMs: number): Promise<void> {
    this.#tokens.pipeline.left = 0;
    this.#tokens.audit.left = 0;
    await this.#change((window, now) => ({ window: close(window, now, retryAfterInMs), result: undefined }));
  }

  async #serve(callerClass: CallerClass): Promise<void> {
    if (this.#fetching[callerClass]) {
      return;
    }
    this.#fetching[callerClass] = true;
    const waiting = this.#waiting[callerClass];
    try {
      while (waiting.length > 0) {
        const retryInMs = await this.#fetch(callerClass);
        this.#expel(waiting);
        if (retryInMs > 0 && waiting.length > 0) {
          await this.#clock.sleep(this.#pause(waiting, retryInMs));
        }
      }
    } catch (error) {
      for (const waiter of waiting.splice(0)) {
        waiter.refuse(error);
      }
    } finally {
      this.#fetching[callerClass] = false;
    }
  }

  async #fetch(callerClass: CallerClass): Promise<number> {
    // A large quota is taken a tenth of a second ahead, so that the row is not written for every call.
    const ahead = Math.ceil(this.#limits.operationsPerMinute / 600);
    const { granted, retryInMs } = await this.#change((window, now) => {
      const waiting = this.#waiting[callerClass].length;
      const taken = take(window, now, waiting + (ahead > 100 ? ahead : 0), callerClass, this.#limits);
      return { window: taken.window, result: taken };
    });
    const now = this.#clock.now().getTime();
    const served = this.#waiting[callerClass].splice(0, granted);
    this.#tokens[callerClass] = { left: granted - served.length, until: now + tokensLastInMs };
    for (const waiter of served) {
      waiter.grant();
    }
    return granted > 0 ? 0 : retryInMs;
  }

  #expel(waiting: Waiter[]): void {
    const now = this.#clock.now().getTime();
    const late = waiting.filter((waiter) => waiter.deadline <= now);
    for (const waiter of late) {
      waiting.splice(waiting.indexOf(waiter), 1);
      waiter.refuse(
        new RetryLaterError(`The operations that ${this.#host} takes in a minute are used up.`, {
          soon: true,
        }),
      );
    }
  }

  #pause(waiting: readonly Waiter[], retryInMs: number): number {
    const now = this.#clock.now().getTime();
    const nextDeadline = Math.min(...waiting.map(({ deadline }) => deadline)) - now;
    // Instances that wait for the same slot should not ask in the same millisecond.
    const jitter = Math.random() * Math.min(50, retryInMs / 4);
    return Math.max(1, Math.min(retryInMs + jitter, nextDeadline));
  }

  /** Reads, changes and writes the row by etag; one change at a time in this instance. */
  #change<T>(decide: (window: QuotaWindow, now: number) => { window: QuotaWindow; result: T }): Promise<T> {
    const turn = this.#turn.then(async () => {
      for (;;) {
        this.#known ??= await this.#read();
        const { window, result } = decide(this.#known.window, this.#clock.now().getTime());
        try {
          this.#known = { window, etag: await this.#write(window, this.#known.etag) };
          return result;
        } catch (error) {
          this.#known = undefined;
          if (!(error instanceof RowConflictError)) {
            throw error;
          }
          await this.#clock.sleep(Math.random() * 20);
        }
      }
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #read(): Promise<{ window: QuotaWindow; etag: string | undefined }> {
    const row = await this.#table.get(this.#host, 'tokens');
    if (!row) {
      return { window: emptyWindow, etag: undefined };
    }
    return { window: { ...emptyWindow, ...JSON.parse(String(row.values.window)) }, etag: row.etag };
  }

  #write(window: QuotaWindow, etag: string | undefined): Promise<string> {
    const values = { window: JSON.stringify(window) };
    if (etag === undefined) {
      return this.#table.insert(this.#host, 'tokens', values);
    }
    return this.#table.replace(this.#host, 'tokens', values, etag);
  }
}
