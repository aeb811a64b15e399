import type { Change, Table } from '../storage/tables.ts';
import { bucketsFilter } from './buckets.ts';
import { certificateSlots, type StoredEnrollment, storedId } from './certificate-findings.ts';

/** Buckets by two hex digits of the thumbprint. */
const certificates = 'c!';
/** So many holders of one certificate are kept in memory, and told. */
const holdersTold = 10;

export interface Holder {
  readonly kind: 'enrollment' | 'group';
  readonly id: string;
}

export interface SharedCertificate {
  readonly thumbprint: string;
  readonly holders: readonly Holder[];
  readonly count: number;
}

/**
 * Who holds which certificate: one row a holder, which sort by thumbprint. So a million of them are compared with
 * their neighbours alone, whichever pages and slices they came in.
 */
export class CertificateRegister {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async save(runId: string, page: readonly StoredEnrollment[]): Promise<void> {
    const rows = new Map<string, { readonly partition: string; readonly change: Change }>();
    for (const stored of page) {
      const kind: Holder['kind'] = 'registrationId' in stored ? 'enrollment' : 'group';
      for (const { info } of certificateSlots(stored)) {
        const thumbprint = info.sha256Thumbprint.toUpperCase();
        const rowKey = `${thumbprint}!${kind}!${storedId(stored)}`;
        const values = { runId, thumbprint, kind, id: storedId(stored) };
        rows.set(rowKey, { partition: partitionOf(thumbprint), change: { kind: 'upsert', rowKey, values } });
      }
    }
    // A page has at most 100 enrollments with two certificates each; a transaction takes 100 changes.
    for (const half of halves([...rows.values()])) {
      await Promise.all(
        [...Map.groupBy(half, ({ partition }) => partition)].map(([partition, some]) =>
          this.#table.transact(
            partition,
            some.map(({ change }) => change),
          ),
        ),
      );
    }
  }

  /** Those of a step's buckets that more than one holds. What this run did not meet is forgotten. */
  async *shared(from: number, runId: string): AsyncGenerator<SharedCertificate> {
    let current: { thumbprint: string; holders: Holder[]; count: number } | undefined;
    for await (const row of this.#table.rows(bucketsFilter(certificates, from))) {
      if (row.values.runId !== runId) {
        await this.#table.delete(row.partitionKey, row.rowKey);
        continue;
      }
      const thumbprint = String(row.values.thumbprint);
      if (current?.thumbprint !== thumbprint) {
        if (current && current.count > 1) {
          yield current;
        }
        current = { thumbprint, holders: [], count: 0 };
      }
      current.count++;
      const kind = row.values.kind === 'group' ? 'group' : 'enrollment';
      if (current.holders.length < holdersTold) {
        current.holders.push({ kind, id: String(row.values.id) });
      }
    }
    if (current && current.count > 1) {
      yield current;
    }
  }
}

function partitionOf(thumbprint: string): string {
  return `${certificates}${thumbprint.slice(0, 2).toLowerCase()}`;
}

function halves<T>(items: readonly T[]): readonly (readonly T[])[] {
  return [items.slice(0, 100), items.slice(100)];
}
