import { RowConflictError, type Table } from '../storage/tables.ts';
import { AuditRunningError } from './audit-running-error.ts';

const place = { partition: 'lease', row: 'audit' };
/** A run whose instances have died gives way to the next after this time without a sign of life. */
const leaseInMs = 10 * 60_000;
const renewEveryMs = 60_000;

/** Only one run at a time: a row says which, and until when. */
export class AuditLease {
  readonly #table: Table;
  #renewed = { runId: '', at: 0 };

  constructor(runsTable: Table) {
    this.#table = runsTable;
  }

  /**
   * Resolves to the run that had it before and has come to nothing, if there was one.
   * @throws AuditRunningError with the one that is still in progress
   */
  async take(runId: string, now: Date): Promise<string | undefined> {
    const held = await this.#read();
    if (held && held.until > now.getTime()) {
      throw new AuditRunningError(held.runId);
    }
    const values = { runId, until: String(now.getTime() + leaseInMs) };
    try {
      if (held) {
        await this.#table.replace(place.partition, place.row, values, held.etag);
      } else {
        await this.#table.insert(place.partition, place.row, values);
      }
    } catch (error) {
      if (!(error instanceof RowConflictError)) {
        throw error;
      }
      const other = (await this.#read())?.runId ?? '';
      // Otherwise the response to our own write was lost, and it was sent again.
      if (other !== runId) {
        throw new AuditRunningError(other);
      }
    }
    return held?.runId;
  }

  /** Not with every step: others have to wait for ten minutes from when it was. False: it was released, or another run has it. */
  async renew(runId: string, now: Date): Promise<boolean> {
    const sinceMs = now.getTime() - this.#renewed.at;
    if (this.#renewed.runId === runId && sinceMs >= 0 && sinceMs < renewEveryMs) {
      return true;
    }
    const held = await this.#read();
    if (held?.runId !== runId || held.until === 0) {
      return false;
    }
    // Where somebody was faster, it was another worker of this run, or else the next renewal finds out.
    await this.#write(held, now.getTime() + leaseInMs);
    this.#renewed = { runId, at: now.getTime() };
    return true;
  }

  /** The run that has it, or had it last. */
  async holder(): Promise<string | undefined> {
    return (await this.#read())?.runId;
  }

  /** The run has ended: the next one may begin at once. */
  async release(runId: string): Promise<void> {
    const held = await this.#read();
    if (held?.runId === runId && held.until !== 0) {
      await this.#write(held, 0);
    }
  }

  /** Only over what was read: the lease may have been taken since. */
  async #write({ runId, etag }: { runId: string; etag: string }, until: number): Promise<void> {
    const values = { runId, until: String(until) };
    try {
      await this.#table.replace(place.partition, place.row, values, etag);
    } catch (error) {
      if (!(error instanceof RowConflictError)) {
        throw error;
      }
    }
  }

  async #read(): Promise<{ runId: string; until: number; etag: string } | undefined> {
    const row = await this.#table.get(place.partition, place.row);
    return row && { runId: String(row.values.runId), until: Number(row.values.until), etag: row.etag };
  }
}
