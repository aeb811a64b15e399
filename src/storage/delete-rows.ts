import { chunksOf } from '../tools/in-parallel.ts';
import { StorageUnavailableError, type Table } from './tables.ts';

/** What a transaction of Table Storage takes. */
const mostChanges = 100;

/** Deletes all rows that fit, in transactions of a partition each. Resolves to how many there were. */
export async function deleteRows(table: Table, filter: string): Promise<number> {
  let deleted = 0;
  let partition = '';
  let rowKeys: string[] = [];
  const flush = async () => {
    await deleteRowKeys(table, partition, rowKeys);
    deleted += rowKeys.length;
    rowKeys = [];
  };
  for await (const row of table.rows(filter, ['PartitionKey', 'RowKey'])) {
    if (rowKeys.length > 0 && (row.partitionKey !== partition || rowKeys.length >= mostChanges)) {
      await flush();
    }
    partition = row.partitionKey;
    rowKeys.push(row.rowKey);
  }
  if (rowKeys.length > 0) {
    await flush();
  }
  return deleted;
}

/** Of one partition. Those that are gone already are no error. */
export async function deleteRowKeys(
  table: Pick<Table, 'transact' | 'delete'>,
  partition: string,
  rowKeys: readonly string[],
): Promise<void> {
  for (const some of chunksOf(rowKeys, mostChanges)) {
    await deleteSome(table, partition, some);
  }
}

async function deleteSome(
  table: Pick<Table, 'transact' | 'delete'>,
  partition: string,
  rowKeys: readonly string[],
): Promise<void> {
  try {
    await table.transact(
      partition,
      rowKeys.map((rowKey) => ({ kind: 'delete', rowKey, etag: '*' })),
    );
  } catch (error) {
    if (error instanceof StorageUnavailableError) {
      throw error;
    }
    // One that is gone already fails the whole transaction.
    for (const rowKey of rowKeys) {
      await table.delete(partition, rowKey);
    }
  }
}
