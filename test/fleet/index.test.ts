import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { loadProfiles } from '../../src/enrollment/ledger/profiles.ts';
import { emptyState, type SubjectRef, type SubjectState } from '../../src/enrollment/ledger/subject-state.ts';
import { parseInstant } from '../../src/events/instant.ts';
import type { AuditFacts, FleetEntry } from '../../src/fleet/fleet-entry.ts';
import { FilterError, readFilter } from '../../src/fleet/fleet-filter.ts';
import { FleetIndex } from '../../src/fleet/fleet-index.ts';
import { FleetLists } from '../../src/fleet/fleet-list.ts';
import { indexRowsOf, mainRowOf } from '../../src/fleet/index-rows.ts';
import { startAzurite } from '../../src/local/stack/azurite.ts';
import { Table } from '../../src/storage/tables.ts';

const profiles = loadProfiles(undefined);
let azurite: Awaited<ReturnType<typeof startAzurite>>;
let tables = 0;
beforeAll(async () => {
  azurite = await startAzurite({ host: '127.0.0.1', ports: { blob: 0, queue: 0, table: 0 } });
});
afterAll(() => azurite?.close());

/** A table that counts its calls. */
class CountedTable extends Table {
  calls = 0;
  readonly name: string;
  constructor(name = `index${++tables}`) {
    super(name, { connectionString: azurite.connectionString });
    this.name = name;
  }
  override get(...given: Parameters<Table['get']>) {
    this.calls++;
    return super.get(...given);
  }
  override page(...given: Parameters<Table['page']>) {
    this.calls++;
    return super.page(...given);
  }
  override transact(...given: Parameters<Table['transact']>) {
    this.calls++;
    return super.transact(...given);
  }
  override insert(...given: Parameters<Table['insert']>) {
    this.calls++;
    return super.insert(...given);
  }
  override replace(...given: Parameters<Table['replace']>) {
    this.calls++;
    return super.replace(...given);
  }
}

/** Table Storage may give fewer rows than it was asked for. */
class CuttingTable extends CountedTable {
  override page(...[filter, options]: Parameters<Table['page']>) {
    return super.page(filter, { ...options, size: 7 });
  }
}

const device = (id: string): SubjectRef => ({ kind: 'device', id });

interface Said {
  readonly product?: string;
  readonly batch?: string;
  readonly deviceId?: string;
  readonly labels?: Record<string, string>;
  readonly held?: boolean;
  readonly revision?: number;
  readonly pending?: boolean;
}

function stateOf({ product = 'thermostat-g2', batch, deviceId, labels, held, revision = 1, pending }: Said) {
  const version = { at: parseInstant('2026-11-23T05:30:00Z')!, tieBreak: 0, source: '/x', id: 'e', key: 'k' };
  const definition = {
    product,
    ...(batch ? { batch } : {}),
    ...(deviceId ? { deviceId } : {}),
    ...(labels ? { labels } : {}),
  };
  return {
    ...emptyState,
    registers: {
      definitions: [{ version, definition }],
      ...(held === undefined ? {} : { hold: { version, held } }),
    },
    revision,
    ...(pending ? { pending: [{ key: 'k' }], pendingSince: '2026-11-23T05:31:00Z' } : {}),
  } as SubjectState;
}

function seen(more: Partial<AuditFacts> = {}): AuditFacts {
  return { auditedAt: '2026-11-24T04:00:00Z', waiting: false, findings: [], history: [], ...more };
}

async function rowsIn(table: Table): Promise<string[]> {
  const found: string[] = [];
  for await (const { partitionKey, rowKey, values } of table.rows('')) {
    found.push(`${partitionKey} ${rowKey} ${JSON.stringify(Object.entries(values).sort())}`);
  }
  return found.sort();
}

function rowsFor(entry: FleetEntry): string[] {
  return [...indexRowsOf(entry), mainRowOf(entry)]
    .map(({ partition, rowKey, values }) => {
      const kept = Object.entries(values).filter(([, value]) => value !== undefined);
      return `${partition} ${rowKey} ${JSON.stringify(kept.sort())}`;
    })
    .sort();
}

describe('the index', () => {
  it('ends in the rows of the newest state, whatever order, repeats and races there were', async () => {
    const said = fc.record({
      product: fc.constantFrom('thermostat-g2', 'gateway-x'),
      labels: fc.dictionary(fc.constantFrom('plant', 'serial'), fc.constantFrom('brno', 'A-17', 'a/b#c'), {
        maxKeys: 2,
      }),
      held: fc.boolean(),
      pending: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(said, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat(3)),
        async (states, order) => {
          const table = new CountedTable();
          const writers = [new FleetIndex(table, profiles), new FleetIndex(table, profiles)];
          const versions = states.map((each, index) => stateOf({ ...each, revision: index + 1 }));
          const shuffled = [...versions, ...versions].sort(() => (order.next().value as number) - 1.5);
          await Promise.all(
            shuffled.map((state, index) =>
              writers[index % 2]!.update(device('thermostat-1'), undefined, state),
            ),
          );
          await writers[0]!.update(device('thermostat-1'), undefined, versions.at(-1)!);
          const entry = await writers[0]!.read(device('thermostat-1'));
          expect(entry?.ledger.revision).toBe(versions.length);
          expect(await rowsIn(table)).toEqual(rowsFor(entry!));
        },
      ),
      { numRuns: 5 },
    );
  });

  it('keeps what the audit saw when an event comes, and what the events say when an audit does', async () => {
    const table = new CountedTable();
    const index = new FleetIndex(table, profiles);
    const finding = { code: 'wrong-hub', severity: 'warning', detail: 'x', since: '2026-11-24T04:00:00Z' };
    await index.update(device('thermostat-1'), undefined, stateOf({}));
    const facts = seen({ state: 'assigned', hub: 'a.azure-devices.net', findings: [finding] });
    await index.audited(device('thermostat-1'), stateOf({}), facts, 'unread');
    await index.update(device('thermostat-1'), stateOf({}), stateOf({ held: true, revision: 2 }));
    const lists = new FleetLists(table);
    for (const filter of [
      { hub: 'a.azure-devices.net' },
      { finding: 'wrong-hub' },
      { held: true },
      { state: 'assigned' },
    ]) {
      const { entries } = await lists.page('device', filter, { size: 10 });
      expect(entries).toMatchObject([
        { id: 'thermostat-1', held: true, hub: 'a.azure-devices.net', findings: ['wrong-hub'] },
      ]);
    }
    await index.audited(
      device('thermostat-1'),
      stateOf({ held: true, revision: 2 }),
      seen({ state: 'assigned' }),
      'unread',
    );
    expect((await lists.page('device', { finding: 'wrong-hub' }, { size: 10 })).entries).toEqual([]);
    expect((await lists.page('device', { hub: 'a.azure-devices.net' }, { size: 10 })).entries).toEqual([]);
  });

  it('mends what is missing and drops what nobody knows any more', async () => {
    const table = new CountedTable();
    const index = new FleetIndex(table, profiles);
    await index.audited(device('stranger'), undefined, seen({ state: 'assigned' }), 'missing');
    await index.audited(device('thermostat-1'), stateOf({}), seen(), 'missing');
    expect(
      (await new FleetLists(table).page('device', { life: 'unknown' }, { size: 10 })).entries,
    ).toHaveLength(1);
    await index.forget(device('stranger'));
    await index.forget(device('thermostat-1'));
    expect(await rowsIn(table)).toEqual(rowsFor((await index.read(device('thermostat-1')))!));
  });

  it('packs many devices into few transactions', async () => {
    const table = new CountedTable();
    const index = new FleetIndex(table, profiles);
    await index.update(device('alone'), undefined, stateOf({ labels: { plant: 'brno' } }));
    const alone = table.calls;
    table.calls = 0;
    const ids = Array.from({ length: 200 }, (_, number) => `thermostat-${number}`);
    await Promise.all(
      ids.map((id) => index.update(device(id), undefined, stateOf({ labels: { plant: 'brno' } }))),
    );
    expect(alone).toBeLessThanOrEqual(6);
    expect(table.calls / ids.length).toBeLessThan(alone / 10);
  });
});

describe('lists', () => {
  let table: CountedTable;
  let lists: FleetLists;
  const fleet = 260;
  beforeAll(async () => {
    table = new CountedTable();
    lists = new FleetLists(table);
    const index = new FleetIndex(table, profiles);
    await Promise.all(
      Array.from({ length: fleet }, (_, number) =>
        index.audited(
          device(`device-${String(number).padStart(4, '0')}`),
          stateOf({
            product: number % 2 ? 'gateway-x' : 'thermostat-g2',
            batch: `batch-${number % 3}`,
            deviceId: `Chassis ${number}`,
            labels: { plant: number % 5 ? 'brno' : 'kassel', serial: `SN/${number}#` },
            held: number % 50 === 0,
          }),
          seen({ state: number % 7 ? 'assigned' : 'failed', waiting: false }),
          'missing',
        ),
      ),
    );
  }, 60_000);

  it.each([
    [{}, fleet],
    [{ product: 'gateway-x' }, 130],
    [{ product: 'gateway-x', batch: 'batch-1' }, 44],
    [{ label: { name: 'plant', value: 'kassel' } }, 52],
    [{ label: { name: 'plant', value: 'kassel' }, state: 'failed' }, 8],
    [{ held: true }, 6],
    [{ held: false, state: 'failed' }, 37],
    [{ q: 'device-000' }, 10],
    [{ q: 'DEVICE-0000' }, 1],
    [{ q: 'chassis 25' }, 11],
    [{ q: 'sn/25' }, 11],
    [{ q: 'sn/25', product: 'gateway-x' }, 6],
    [{ q: "nobody's" }, 0],
  ])('find exactly what %o means, page by page, and each once', async (filter, expected) => {
    const ids: string[] = [];
    let continuation: string | undefined;
    do {
      table.calls = 0;
      const page = await lists.page('device', filter, { size: 20, continuation });
      expect(table.calls).toBeLessThanOrEqual(2);
      expect(page.entries.length).toBeLessThanOrEqual(20);
      ids.push(...page.entries.map(({ id }) => id));
      continuation = page.continuation;
    } while (continuation !== undefined);
    expect(ids).toHaveLength(expected);
    expect(new Set(ids).size).toBe(expected);
  });

  it('go on where Table Storage cuts a page, even one with nothing in it', async () => {
    const cutting = new CuttingTable(table.name);
    const found: string[] = [];
    let continuation: string | undefined;
    do {
      const page = await new FleetLists(cutting).page(
        'device',
        { product: 'gateway-x', state: 'failed' },
        { size: 5, continuation },
      );
      found.push(...page.entries.map(({ id }) => id));
      continuation = page.continuation;
    } while (continuation !== undefined);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toHaveLength(19);
  });

  it('refuse filters and continuations that are none, and say which', async () => {
    const read = (query: [string, string][]) =>
      readFilter('device', query, { others: ['format'], findingCodes: ['wrong-hub'] });
    expect(() => read([['colour', 'blue']])).toThrow(/no filter "colour"/);
    expect(() => read([['finding', 'nothing']])).toThrow(/finding cannot be "nothing"/);
    expect(() => read([['held', 'maybe']])).toThrow(/held cannot be "maybe"/);
    expect(() => read([['label', 'plant']])).toThrow(/NAME:VALUE/);
    expect(() =>
      read([
        ['q', 'a'],
        ['q', 'b'],
      ]),
    ).toThrow(/may be given once/);
    expect(
      read([
        ['format', 'csv'],
        ['held', 'true'],
        ['product', ' '],
      ]),
    ).toEqual({ held: true });
    const { continuation } = await lists.page('device', { product: 'gateway-x' }, { size: 5 });
    await expect(lists.page('device', { batch: 'batch-1' }, { size: 5, continuation })).rejects.toThrow(
      FilterError,
    );
    await expect(lists.page('device', {}, { size: 5, continuation: 'no' })).rejects.toThrow(
      /does not belong/,
    );
  });
});
