import { deleteRows } from '../storage/delete-rows.ts';
import { odata, type Table } from '../storage/tables.ts';
import { runRowKey, runsPartition, summaryPrefix, workerPrefix } from './audit-store.ts';
import type { FindingStore } from './finding-store.ts';

/** Runs that began before `before` go, with their summaries, and findings that were resolved, or seen last, before it. */
export class AuditRetention {
  readonly #runs: Table;
  readonly #findings: FindingStore;

  constructor(runs: Table, findings: FindingStore) {
    this.#runs = runs;
    this.#findings = findings;
  }

  async purge(before: Date): Promise<void> {
    const oldest = runRowKey(before);
    const ofRuns = (prefix: string) =>
      odata`PartitionKey eq ${runsPartition} and RowKey gt ${prefix + oldest} and RowKey lt ${`${prefix}:`}`;
    for (const prefix of ['', summaryPrefix, workerPrefix]) {
      await deleteRows(this.#runs, ofRuns(prefix));
    }
    await this.#findings.purge(before);
  }
}
