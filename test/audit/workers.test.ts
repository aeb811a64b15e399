import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noCounts, scannedOnly, sumOf } from '../../src/audit/audit-counts.ts';
import type { AuditPhases } from '../../src/audit/audit-phases.ts';
import type { Unit } from '../../src/audit/audit-plan.ts';
import type { AuditRun } from '../../src/audit/audit-run.ts';
import { AuditRunner } from '../../src/audit/audit-runner.ts';
import { AuditStore } from '../../src/audit/audit-store.ts';
import { FindingStore } from '../../src/audit/finding-store.ts';
import { RetryLaterError } from '../../src/enrollment/dps-access/retry-later-error.ts';
import { type AuditSlice, BackgroundQueue } from '../../src/enrollment/pipeline/background-queue.ts';
import type { EventBus } from '../../src/events/event-bus.ts';
import type { FleetIndex } from '../../src/fleet/fleet-index.ts';
import { type Azurite, startAzurite } from '../../src/local/stack/azurite.ts';
import { RowConflictError, Table } from '../../src/storage/tables.ts';
import { FaultyProxy, type SeenRequest } from '../support/proxy.ts';
import { Random } from '../support/random.ts';

const groups = Array.from({ length: 7 }, (_, index) => `group-${index}`);
const stepsOfUnit = 3;

let azurite: Azurite;
let proxy: FaultyProxy;
let cutsAnswers: () => boolean = () => false;
let tables = 0;

beforeAll(async () => {
  azurite = await startAzurite({ host: '127.0.0.1', ports: { blob: 0, queue: 0, table: 0 } });
  const target = /TableEndpoint=(http:\/\/[^/]+)/.exec(azurite.connectionString)?.[1] ?? '';
  // Writes of where a worker stands, alone and with the run.
  const isOfWorker = ({ method, path, body }: SeenRequest) =>
    method !== 'GET' && /worker(!|%21)/i.test(`${path} ${body}`);
  proxy = await FaultyProxy.start({
    target,
    fate: (request) => (isOfWorker(request) && cutsAnswers() ? 'cut-after' : 'pass'),
  });
});
afterAll(async () => {
  await proxy?.close();
  await azurite?.close();
});

/** Units of three steps each, which may fail in each way that steps do. */
function phasesOf(random: Random, worked: Map<string, number>): AuditPhases {
  const step = async (run: AuditRun, unit: Unit): Promise<Unit> => {
    const failure = random.below(12);
    if (failure === 0) {
      throw new RetryLaterError('The quota is used up.');
    }
    if (failure === 1) {
      throw new RowConflictError('A row of the index was written in the meantime.');
    }
    const name = `${run.stage} ${JSON.stringify({ ...unit.checkpoint, chunk: 0, part: 0 })}`;
    worked.set(name, (worked.get(name) ?? 0) + 1);
    const { operations } = unit.counts;
    const isLast = operations + 1 === stepsOfUnit;
    const found = run.stage === 'groups' && isLast ? { groups } : {};
    const counted = { ...noCounts, operations: 1, scanned: scannedOnly({ individualStates: 1 }), ...found };
    const counts = sumOf(unit.counts, counted);
    return { ...unit, counts, checkpoint: isLast ? { phase: 'done' } : unit.checkpoint };
  };
  return { step } as unknown as AuditPhases;
}

function runnerWith(bus: Pick<EventBus, 'queueWork' | 'publish'>, random: Random) {
  const connectionString = azurite.connectionString.replace(
    /(TableEndpoint=)http:\/\/[^/]+/,
    `$1${proxy.url}`,
  );
  const own = ++tables;
  const table = (name: string) => new Table(`${name}${own}`, { connectionString });
  const store = new AuditStore(table('runs'));
  const runner = new AuditRunner({
    ...{ store, bus: bus as EventBus, background: new BackgroundQueue(bus), retentionDays: 400 },
    findings: new FindingStore(table('findings')),
    phases: phasesOf(random, new Map()),
    fleet: {} as FleetIndex,
    clock: { now: () => new Date(), sleep: async () => {} },
    log: () => {},
    reportAddress: (id) => id,
  });
  return { runner, store };
}

describe('workers on an audit', () => {
  it('begin a run whose app stopped before it had sent for them', async () => {
    const messages: { readonly slice: AuditSlice; readonly isForLater: boolean }[] = [];
    let isStopped = true;
    const { runner, store } = runnerWith(
      {
        queueWork: async ({ work, notBefore }) => {
          if (isStopped && notBefore === undefined) {
            throw new Error('stopped');
          }
          messages.push({ slice: work as unknown as AuditSlice, isForLater: notBefore !== undefined });
        },
        publish: async () => {},
      },
      new Random(1),
    );
    await expect(runner.start()).rejects.toThrow('stopped');
    isStopped = false;
    expect(messages.map(({ isForLater }) => isForLater)).toEqual([true]);
    for (let next = messages.shift(); next; next = messages.shift()) {
      const { slice } = next;
      await runner.slice(slice).catch(() => messages.push({ slice, isForLater: false }));
    }
    expect((await store.list(10)).runs).toMatchObject([{ status: 'finished' }]);
  });

  it('do each unit once, though messages come twice, late and in any order, steps fail and responses are lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), async (seed) => {
        const random = new Random(seed);
        const messages: AuditSlice[] = [];
        const published: string[] = [];
        const read: (string | undefined)[] = [];
        const bus: Pick<EventBus, 'queueWork' | 'publish'> = {
          queueWork: async ({ work }: { work: unknown }) => {
            messages.push(work as AuditSlice, ...(random.below(3) === 0 ? [work as AuditSlice] : []));
          },
          publish: async ({ id }: { id: string }) => {
            published.push(id);
            read.push((await store.newestFinished())?.id);
          },
        };
        const { runner, store } = runnerWith(bus, random);
        const { id } = await runner.start();
        cutsAnswers = () => random.below(25) === 0;
        try {
          while (messages.length > 0) {
            // Some of them at once, as several instances would; what throws is delivered again.
            const some = random.shuffled(messages.splice(0)).slice();
            messages.push(...some.splice(1 + random.below(4)));
            await Promise.all(
              some.map((slice) =>
                runner.slice(slice).catch(() => {
                  messages.push(slice);
                }),
              ),
            );
          }
        } finally {
          cutsAnswers = () => false;
        }
        const run = await store.read(id);
        // Groups, enrollments and each group, states and certificates, devices, batches and what is too old.
        const units = 1 + (1 + groups.length) + 2 + 1 + 2;
        expect(run).toMatchObject({ status: 'finished', stage: 'report', operations: units * stepsOfUnit });
        expect(run?.scanned.individualStates).toBe(units * stepsOfUnit);
        expect(run).not.toHaveProperty('isUntold');
        // Whoever is told can read it.
        expect(new Set(published)).toEqual(new Set([id]));
        expect(new Set(read)).toEqual(new Set([id]));
      }),
      { numRuns: 5 },
    );
  }, 120_000);
});
