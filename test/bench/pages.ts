/**
 * Pages of a large fleet: 100,000 devices and 30 audits in the tables. Azurite sorts a whole table for each page that it
 * answers, so its own time is no measure: what is counted are the calls, and what the server adds to them, beside bare
 * reads of the same rows.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type AuditRun, newRun } from '../../src/audit/audit-run.ts';
import type { AuditFacts, FindingFact, FleetEntry } from '../../src/fleet/fleet-entry.ts';
import { emptySummary, summed } from '../../src/fleet/fleet-summary.ts';
import { type IndexRow, indexRowsOf, mainRowOf } from '../../src/fleet/index-rows.ts';
import type { Viewer } from '../../src/http/sign-in.ts';
import { settingsFor } from '../../src/local/stack/endpoints.ts';
import { startStack } from '../../src/local/stack/stack.ts';
import { Services } from '../../src/services.ts';
import { readSettings } from '../../src/settings.ts';
import { type Change, Table } from '../../src/storage/tables.ts';
import type { Report } from './figure.ts';

const devices = 100_000;
const runs = 30;
const rounds = 20;
const mostServerTimeInMs = 50;
const largestPageInBytes = 100 * 1024;
const dayInMs = 86_400_000;
const viewer: Viewer = {
  kind: 'person',
  name: 'Mara Quill',
  id: 'x',
  account: 'mara.quill@contoso.com',
  roles: new Set(['Fleet.Read', 'Fleet.Operate']),
};

interface PageGoal {
  readonly name: string;
  readonly calls: number;
  show(services: Services): Promise<string | undefined>;
}

const pages: readonly PageGoal[] = [
  { name: 'overview', calls: 3, show: shown('overview', '') },
  { name: 'list', calls: 2, show: shown('list', 'product=thermostat-g1') },
  {
    name: 'list, by finding and product',
    calls: 2,
    show: shown('list', 'finding=never-registered&product=thermostat-g1'),
  },
  { name: 'list, by the beginning of a serial number', calls: 2, show: shown('list', 'q=SN-0500') },
  { name: 'device', calls: 3, show: shown('device', '') },
];

function shown(which: 'overview' | 'list' | 'device', query: string): PageGoal['show'] {
  const request = { query: new URLSearchParams(query), viewer };
  return async (services) => {
    const site = await services.pages();
    const answer =
      which === 'overview'
        ? await site.overview(request)
        : which === 'list'
          ? await site.list('device', request)
          : await site.device('device-050000', request);
    if (answer.status !== 200) {
      throw new Error(`The ${which} was answered ${answer.status}.`);
    }
    return answer.body;
  };
}

export async function run(report: Report): Promise<void> {
  const stack = await startStack();
  const settings = readSettings({ ...settingsFor(stack.endpoints), DPS_OPERATIONS_PER_MINUTE: '1000000' });
  const services = new Services(settings, { log: () => {} });
  try {
    await seed(services);
    for (const page of pages) {
      await measure(page, services, report);
    }
    await measureMemory(services, report);
  } finally {
    await services.close();
    await stack.close();
  }
}

async function measure({ name, calls, show }: PageGoal, services: Services, report: Report): Promise<void> {
  await show(services);
  const counted = countCalls();
  const body = await show(services);
  const made = counted.calls;
  report({
    name: `${name}: table calls`,
    value: made,
    unit: 'calls',
    goal: `at most ${calls}`,
    met: made <= calls,
  });
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    counted.reset();
    const began = performance.now();
    await show(services);
    times.push(performance.now() - began - counted.waitedInMs());
  }
  counted.stop();
  const median = times.sort((left, right) => left - right)[Math.floor(rounds / 2)] ?? 0;
  report({
    name: `${name}: server time beyond the tables`,
    value: Math.max(0, median),
    unit: 'ms',
    goal: `at most ${mostServerTimeInMs} ms`,
    met: median <= mostServerTimeInMs,
  });
  const size = Buffer.byteLength(body ?? '');
  report({
    name: `${name}: size`,
    value: size / 1024,
    unit: 'KB',
    goal: `at most ${largestPageInBytes / 1024} KB`,
    met: size > 0 && size <= largestPageInBytes,
  });
}

/** The heap after many pages, beside the heap after a few. */
async function measureMemory(services: Services, report: Report): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed / 1024 / 1024;
  };
  const showAll = async () => {
    for (const { show } of pages) {
      await show(services);
    }
  };
  await showAll();
  const before = heap();
  for (let round = 0; round < 10; round++) {
    await showAll();
  }
  const after = heap();
  const grown = after - before;
  report({
    name: `heap after 50 more pages of ${devices.toLocaleString('en')} devices`,
    value: after,
    unit: 'MB',
    baseline: before,
    ratio: after / before,
    goal: 'grows by 20 MB at most',
    met: grown <= 20,
  });
}

/** Counts what tables are asked for, and how long somebody waited for at least one of the answers. */
function countCalls() {
  const prototype = Table.prototype as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
  const names = ['get', 'page', 'transact', 'insert', 'replace', 'upsert', 'delete'];
  const originals = names.map((name) => [name, prototype[name]] as const);
  let calls = 0;
  let underWay = 0;
  let since = 0;
  let waited = 0;
  for (const [name, original] of originals) {
    prototype[name] = async function (this: Table, ...given: unknown[]) {
      calls++;
      if (underWay++ === 0) {
        since = performance.now();
      }
      try {
        return await original?.apply(this, given);
      } finally {
        if (--underWay === 0) {
          waited += performance.now() - since;
        }
      }
    };
  }
  return {
    get calls() {
      return calls;
    },
    waitedInMs: () => waited,
    reset() {
      calls = 0;
      waited = 0;
    },
    stop() {
      for (const [name, original] of originals) {
        if (original) {
          prototype[name] = original;
        }
      }
    },
  };
}

async function seed(services: Services): Promise<void> {
  const partitions = new Map<string, Change[]>();
  const put = async (partition: string, change: Change) => {
    const waiting = partitions.get(partition) ?? [];
    waiting.push(change);
    partitions.set(partition, waiting);
    if (waiting.length === 100) {
      partitions.set(partition, []);
      await services.table('fleetIndex').transact(partition, waiting);
    }
  };
  let summary = emptySummary;
  const now = new Date();
  for (let start = 0; start < devices; start += 1_000) {
    const entries = Array.from({ length: 1_000 }, (_, index) => entryOf(start + index));
    summary = summed(summary, entries, now);
    for (const entry of entries) {
      for (const { partition, rowKey, values } of [...indexRowsOf(entry), mainRowOf(entry)].filter(isAsked)) {
        await put(partition, { kind: 'upsert', rowKey, values });
      }
    }
  }
  for (const [partition, changes] of partitions) {
    if (changes.length > 0) {
      await services.table('fleetIndex').transact(partition, changes);
    }
  }
  await seedRuns(services, summary, now);
}

/** Of the dozen lists that a device is in, those that the pages below ask: Azurite keeps all rows in memory. */
function isAsked({ partition, rowKey }: IndexRow): boolean {
  return (
    /^device!(?:all|finding)!/.test(partition) ||
    partition === 'device!product!thermostat-g1' ||
    (partition === 'device!search!' && rowKey.startsWith('sn-'))
  );
}

async function seedRuns(services: Services, summary: AuditRun['summary'], now: Date): Promise<void> {
  const store = services.auditStore;
  for (let index = 0; index < runs; index++) {
    const at = new Date(now.getTime() - (runs - index) * dayInMs);
    const byCode = {
      'never-registered': 800 + index * 7,
      'wrong-hub': 90,
      'registration-failed': 60 + index,
    };
    const open = Object.values(byCode).reduce((sum, each) => sum + each, 0);
    const counts = { open, critical: 0, warning: open, info: 0, byCode };
    const begun = { ...newRun(at), number: index + 1 };
    const finished: AuditRun = {
      ...begun,
      status: 'finished',
      finishedAt: at.toISOString(),
      counts,
      summary,
    };
    await store.begin(begun, at);
    await store.change(begun.id, () => ({ run: finished }));
    await store.release(begun.id);
    if (index === runs - 1) {
      await store.saveNewest(finished);
    }
  }
}

function entryOf(number: number): FleetEntry {
  const id = `device-${String(number).padStart(6, '0')}`;
  const overdue = number % 100 === 0;
  const finding: FindingFact = {
    code: 'never-registered',
    severity: 'warning',
    detail: 'It never registered.',
    since: '2026-11-20T04:00:00Z',
  };
  const audit: AuditFacts = {
    auditedAt: '2026-11-25T04:00:00Z',
    state: overdue ? 'unassigned' : 'assigned',
    ...(overdue ? {} : { hub: `hub-${number % 4}.azure-devices.net`, registeredAt: '2026-11-21T08:00:00Z' }),
    waiting: false,
    findings: overdue ? [finding] : [],
    history: [],
  };
  return {
    kind: 'device',
    id,
    ledger: {
      revision: 1,
      appliedRevision: 1,
      life: 'manufactured',
      held: false,
      product: `thermostat-g${number % 10}`,
      batch: `batch-${Math.floor(number / 500)}`,
      deviceId: id,
      labels: { plant: number % 2 ? 'brno' : 'kassel', serial: `SN-${String(number).padStart(6, '0')}` },
      definedAt: '2026-08-01T08:00:00Z',
    },
    audit,
  };
}
