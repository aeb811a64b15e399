import { deleteRows } from '../storage/delete-rows.ts';
import { odata, type Table } from '../storage/tables.ts';
import { runRowKey, runsPartition, summaryPrefix } from './audit-store.ts';

/** Runs that began before `before` go, with their summaries, and findings that were resolved, or seen last, before it. */
export class AuditRetention {
  readonly #runs: Table;
  readonly #findings: Table;

  constructor(runs: Table, findings: Table) {
    this.#runs = runs;
    this.#findings = findings;
  }

  async purge(before: Date): Promise<void> {
    const oldest = runRowKey(before);
    const ofRuns = (prefix: string, end: string) =>
      odata`PartitionKey eq ${runsPartition} and RowKey gt ${prefix + oldest} and RowKey lt ${end}`;
    await deleteRows(this.#runs, ofRuns('', ':'));
    await deleteRows(this.#runs, ofRuns(summaryPrefix, `${summaryPrefix}:`));
    const time = before.toISOString();
    await deleteRows(this.#findings, odata`resolvedAt lt ${time} or lastSeen lt ${time}`);
  }
}
