import { expect, it } from 'vitest';
import { Ledger, type LedgerTable } from '../../src/enrollment/ledger/ledger.ts';
import { emptyState } from '../../src/enrollment/ledger/subject-state.ts';
import type { EventKey } from '../../src/events/event-identity.ts';
import { type Row, StorageUnavailableError } from '../../src/storage/tables.ts';

const key = '0'.repeat(32) as EventKey;
const subject = { kind: 'device', id: 'thermostat-1' } as const;
const record = { key, source: '/s', id: '1', type: 'device.held', subject: 'thermostat-1', fingerprint: 'f' };
const pending = {
  ...record,
  status: 'processing',
  receivedAt: '2026-11-26T08:00:00Z',
  attempts: 1,
  warnings: [],
};

function tableOf(stateOf: (read: number) => object): LedgerTable & { readonly reads: number } {
  let reads = 0;
  const row = (rowKey: string, values: Row['values']): Row => ({
    ...{ partitionKey: 'thermostat-1', rowKey, etag: `e${reads}`, values },
  });
  return {
    get reads() {
      return reads;
    },
    get: async (_partition: string, rowKey: string) =>
      rowKey === 'state'
        ? row(rowKey, { state: JSON.stringify({ ...emptyState, ...stateOf(++reads) }) })
        : row(rowKey, { event: JSON.stringify(pending) }),
  } as unknown as LedgerTable & { readonly reads: number };
}

it('a state that is older than its event is read again until both are of one moment', async () => {
  const table = tableOf((read) => (read < 3 ? {} : { pending: [pending] }));
  const view = await new Ledger(table, table).read(subject, [key]);
  expect(view.state.pending).toHaveLength(1);
  expect(table.reads).toBe(3);
});

it('rows that never are of one moment are not believed: whoever reads them tries again later', async () => {
  const table = tableOf(() => ({}));
  await expect(new Ledger(table, table).read(subject, [key])).rejects.toThrow(StorageUnavailableError);
});
