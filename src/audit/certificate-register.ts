import { deleteRowKeys } from '../storage/delete-rows.ts';
import { type Change, odata, type Row, type Table } from '../storage/tables.ts';
import { certificateSlots, type StoredEnrollment } from './certificate-findings.ts';
import type { RowChange } from './record-comparison.ts';

/** Partitions by the first hex digit of the thumbprint. */
const certificates = 'c!';
export const certificatePartitions = 16;
/** Of enrollment groups: which certificates each has. */
export const groupCertificates = 'e!';
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

/** As the row of an enrollment or group has them: its thumbprints, or nothing. */
export function certificatesOf(stored: StoredEnrollment): { readonly certificates?: string } {
  const thumbprints = certificateSlots(stored).map(({ info }) => info.sha256Thumbprint.toUpperCase());
  return thumbprints.length > 0 ? { certificates: [...new Set(thumbprints)].join(' ') } : {};
}

/**
 * Who holds which certificate: one row a holder, which sort by thumbprint. So a million of them are compared with
 * their neighbours alone, whichever pages and units of work they came in.
 */
export class CertificateRegister {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** What became of the rows of enrollments or groups, of which none is written yet. */
  async update(kind: Holder['kind'], changes: readonly RowChange[]): Promise<void> {
    const partitions = new Map<string, { kept: Change[]; gone: string[] }>();
    const of = (thumbprint: string) => {
      const partition = partitionOf(thumbprint);
      const rows = partitions.get(partition) ?? { kept: [], gone: [] };
      partitions.set(partition, rows);
      return rows;
    };
    for (const { id, before, after } of changes) {
      const [had, has] = [thumbprintsOf(before?.values.certificates), thumbprintsOf(after?.certificates)];
      for (const thumbprint of has.filter((each) => !had.includes(each))) {
        const values = { thumbprint, kind, id };
        of(thumbprint).kept.push({ kind: 'upsert', rowKey: rowKeyOf(thumbprint, kind, id), values });
      }
      for (const thumbprint of had.filter((each) => !has.includes(each))) {
        of(thumbprint).gone.push(rowKeyOf(thumbprint, kind, id));
      }
    }
    await Promise.all(
      [...partitions].map(async ([partition, { kept, gone }]) => {
        await this.#table.transactAll(partition, kept);
        await deleteRowKeys(this.#table, partition, gone);
      }),
    );
  }

  /** Those of these partitions that more than one holds. */
  async *shared(from: number, until: number): AsyncGenerator<SharedCertificate> {
    let current: { thumbprint: string; holders: Holder[]; count: number } | undefined;
    const filter = odata`PartitionKey ge ${partitionAt(from)} and PartitionKey lt ${partitionAt(until)}`;
    for await (const row of this.#table.rows(filter)) {
      const thumbprint = String(row.values.thumbprint);
      if (current?.thumbprint !== thumbprint) {
        if (current && current.count > 1) {
          yield current;
        }
        current = { thumbprint, holders: [], count: 0 };
      }
      current.count++;
      if (current.holders.length < holdersTold) {
        current.holders.push(holderOf(row));
      }
    }
    if (current && current.count > 1) {
      yield current;
    }
  }
}

function holderOf({ values }: Row): Holder {
  return { kind: values.kind === 'group' ? 'group' : 'enrollment', id: String(values.id) };
}

function thumbprintsOf(text: unknown): string[] {
  return typeof text === 'string' && text !== '' ? text.split(' ') : [];
}

/** Behind the last one comes what sorts after all hex digits. */
function partitionAt(number: number): string {
  return certificates + (number < certificatePartitions ? number.toString(16) : 'g');
}

function partitionOf(thumbprint: string): string {
  return `${certificates}${thumbprint.slice(0, 1).toLowerCase()}`;
}

function rowKeyOf(thumbprint: string, kind: Holder['kind'], id: string): string {
  return `${thumbprint}!${kind}!${id}`;
}
