/**
 * The audit of a grown fleet: a million registrations in groups that let in whom they like, beside 100,000 known devices.
 * The emulators, the app and the tables are processes of their own; the tables are a stand-in (table-stand-in.ts), since
 * Azurite sorts a whole table for each page. `BENCH_AUDIT_PART=0.1` makes all of it a tenth.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stateOfGroup, stateOfMember } from '../../src/adoption/adopted-state.ts';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { Ledger } from '../../src/enrollment/ledger/ledger.ts';
import { EnrollmentProfiles } from '../../src/enrollment/ledger/profiles.ts';
import type { SubjectRef, SubjectState } from '../../src/enrollment/ledger/subject-state.ts';
import { ledgerFacts } from '../../src/fleet/fleet-entry.ts';
import { indexRowsOf, mainRowOf } from '../../src/fleet/index-rows.ts';
import { startAppProcess } from '../../src/local/stack/app-process.ts';
import { type Change, Table } from '../../src/storage/tables.ts';
import { memoryOf } from '../support/process-memory.ts';
import type { Report } from './figure.ts';
import { Rig } from './pipeline-load.ts';
import { type TableCalls, TableStandIn } from './table-stand-in.ts';

const part = Number(process.env.BENCH_AUDIT_PART ?? 1);
const groups = 100;
const perGroup = 10_000 * part;
const registrations = groups * perGroup;
const devices = 100_000 * part;
const pages = groups * Math.ceil(perGroup / 100);
const product = 'lamp-1';
const mostMegabytes = 256;
/** With all the memory of the machine to take, Node puts off collecting garbage: what it needs would not be seen. */
const heap = '--max-old-space-size=224 --max-semi-space-size=8';
const loadedAtOnce = 20_000;

interface Fleet {
  readonly rig: Rig;
  readonly tables: TableStandIn;
  readonly profiles: string;
  readonly dps: DeviceProvisioningClient;
}

interface Audited {
  readonly seconds: number;
  readonly operations: number;
  readonly unknown: number | undefined;
  readonly scanned: Readonly<Record<string, number>>;
  readonly calls: TableCalls;
  readonly idleMegabytes: number;
  readonly peakMegabytes: number;
}

export async function run(report: Report): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-audit-'));
  const profiles = path.join(folder, 'profiles.json');
  const ofGroups = {
    ...{ product: 'lamp-*', enrollment: 'group', attestation: 'symmetricKey', members: 'any' },
    reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
  };
  writeFileSync(profiles, JSON.stringify({ profiles: [ofGroups] }));
  const rig = await Rig.start();
  const dps = DeviceProvisioningClient.fromConnectionString(rig.endpoints.dps.connectionString);
  try {
    await rig.control('quota', 'PUT', { operationsPerMinute: null });
    await rig.control('seed', 'POST', { groups, registrationsPerGroup: perGroup });
    const whole = await known(report, { rig, profiles, dps }, devices);
    await linear(report, { rig, profiles, dps }, whole);
    await unknown(report, { rig, profiles, dps });
  } finally {
    await rig.close();
    rmSync(folder, { recursive: true });
  }
  await adoption(report);
}

/** A first run, and a second one after one in a hundred has changed. */
async function known(report: Report, parts: Omit<Fleet, 'tables'>, knownDevices: number): Promise<Audited> {
  const fleet = { ...parts, tables: await TableStandIn.start() };
  try {
    await seedLedger(fleet, knownDevices);
    const first = await audit(fleet);
    const latency = await pageLatency(fleet.dps);
    const bare = await bareTime(fleet, first.calls);
    const floor = Math.max((pages * latency) / 1_000, bare);
    report({
      name: `memory above idle, ${registrations.toLocaleString('en')} registrations`,
      value: first.peakMegabytes - first.idleMegabytes,
      unit: 'MB',
      goal: `at most ${mostMegabytes} MB`,
      met: first.peakMegabytes - first.idleMegabytes <= mostMegabytes,
    });
    report({
      name: 'time beside bare pages or table calls, the larger',
      value: first.seconds,
      unit: 's',
      baseline: floor,
      ratio: first.seconds / floor,
      goal: 'ratio at most 1.3',
      met: first.seconds / floor <= 1.3,
    });
    await changeOneInAHundred(fleet);
    const second = await audit(fleet);
    report({
      name: 'table calls once 1 % has changed, beside the first run',
      value: callsOf(second),
      unit: 'calls',
      baseline: callsOf(first),
      ratio: callsOf(second) / callsOf(first),
      goal: 'fewer',
      met: callsOf(second) < callsOf(first),
    });
    report({
      name: 'rows written once 1 % has changed, beside the first run',
      value: second.calls.rowsWritten,
      unit: 'rows',
      baseline: first.calls.rowsWritten,
      ratio: second.calls.rowsWritten / first.calls.rowsWritten,
      goal: 'ratio at most 0.02',
      met: second.calls.rowsWritten / first.calls.rowsWritten <= 0.02,
    });
    report({
      name: 'time once 1 % has changed, beside the first run',
      value: second.seconds,
      unit: 's',
      baseline: first.seconds,
      ratio: second.seconds / first.seconds,
      goal: 'ratio at most 0.5',
      met: second.seconds / first.seconds <= 0.5,
    });
    return first;
  } finally {
    fleet.tables.close();
  }
}

/** A quarter of the devices, and of the registrations beside them, costs a quarter. */
async function linear(report: Report, parts: Omit<Fleet, 'tables'>, whole: Audited): Promise<void> {
  const rig = await Rig.start();
  const tables = await TableStandIn.start();
  const dps = DeviceProvisioningClient.fromConnectionString(rig.endpoints.dps.connectionString);
  try {
    await rig.control('quota', 'PUT', { operationsPerMinute: null });
    await rig.control('seed', 'POST', { groups, registrationsPerGroup: perGroup / 4 });
    const fleet = { ...parts, rig, dps, tables };
    await seedLedger(fleet, devices / 4);
    const quarter = await audit(fleet);
    const compared = [
      { name: 'table calls', unit: 'calls', four: callsOf(quarter) * 4, all: callsOf(whole) },
      { name: 'time', unit: 's', four: quarter.seconds * 4, all: whole.seconds },
    ];
    for (const { name, unit, four, all } of compared) {
      report({
        name: `${name} of ${devices.toLocaleString('en')} devices beside four times ${(devices / 4).toLocaleString('en')}`,
        value: all,
        unit,
        baseline: four,
        ratio: all / four,
        goal: 'ratio at most 1.15',
        met: all / four <= 1.15,
      });
    }
  } finally {
    tables.close();
    await rig.close();
  }
}

async function unknown(report: Report, parts: Omit<Fleet, 'tables'>): Promise<void> {
  const tables = await TableStandIn.start();
  try {
    const audited = await audit({ ...parts, tables });
    report({
      name: `operations for ${registrations.toLocaleString('en')} unknown registrations, beside their pages`,
      value: audited.operations,
      unit: 'operations',
      baseline: pages,
      ratio: audited.operations / pages,
      goal: 'pages + 2,000',
      met: audited.operations <= pages + 2_000 && audited.unknown === registrations,
    });
    report({
      name: 'memory above idle, all of them unknown',
      value: audited.peakMegabytes - audited.idleMegabytes,
      unit: 'MB',
      goal: `at most ${mostMegabytes} MB`,
      met: audited.peakMegabytes - audited.idleMegabytes <= mostMegabytes,
    });
  } finally {
    tables.close();
  }
}

/** 100,000 individual enrollments are taken into the ledger. */
async function adoption(report: Report): Promise<void> {
  const rig = await Rig.start();
  const tables = await TableStandIn.start();
  try {
    await rig.control('quota', 'PUT', { operationsPerMinute: null });
    await rig.control('seed', 'POST', { groups: 0, individualEnrollments: devices });
    const before = await writesOf(rig);
    const done = await withApp({ rig, tables, profiles: undefined }, async (get) => {
      const started = await get('adoptions', 'POST', { dryRun: false, rules: [{ tag: 'product' }] });
      return until(get, `adoptions/${started.id}`);
    });
    const operations = Number(done.operations);
    report({
      name: `operations to adopt ${devices.toLocaleString('en')} enrollments, beside their pages`,
      value: operations,
      unit: 'operations',
      baseline: devices / 100,
      ratio: operations / (devices / 100),
      goal: 'ratio at most 1.01',
      met: operations / (devices / 100) <= 1.01,
    });
    const written = (await writesOf(rig)) - before;
    report({
      name: 'writes to DPS by that',
      value: written,
      unit: 'writes',
      goal: 'none',
      met: written === 0,
    });
  } finally {
    tables.close();
    await rig.close();
  }
}

function callsOf({ calls }: Audited): number {
  return Object.values(calls.calls).reduce((sum, each) => sum + each, 0);
}

type Get = (call: string, method?: string, body?: object) => Promise<Record<string, unknown>>;

async function audit({ rig, tables, profiles }: Fleet): Promise<Audited> {
  return withApp({ rig, tables, profiles }, async (get, memory) => {
    await tables.calls();
    const idleMegabytes = memory().now;
    const began = performance.now();
    const started = await get('audit/runs', 'POST');
    const run = await until(get, `audit/runs/${started.id}`);
    const seconds = (performance.now() - began) / 1_000;
    const counts = run.counts as { open: number; byCode: Record<string, number> };
    return {
      seconds,
      operations: Number(run.operations),
      unknown: counts.byCode['registered-but-unknown'],
      scanned: run.scanned as Readonly<Record<string, number>>,
      calls: await tables.calls(),
      idleMegabytes,
      peakMegabytes: memory().peak,
    };
  });
}

async function until(get: Get, call: string): Promise<Record<string, unknown>> {
  for (;;) {
    const found = await get(call);
    if (found.status === 'finished' || found.status === 'failed') {
      if (found.status === 'failed') {
        throw new Error(`${call} has failed: ${found.detail}`);
      }
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** The app in a process of its own, and asked over HTTP. */
async function withApp<T>(
  { rig, tables, profiles }: Pick<Fleet, 'rig' | 'tables'> & { readonly profiles: string | undefined },
  work: (get: Get, memory: () => { readonly now: number; readonly peak: number }) => Promise<T>,
): Promise<T> {
  const { endpoints } = rig;
  const env = { NODE_OPTIONS: heap, DPS_OPERATIONS_PER_MINUTE: '100000000' };
  const app = await startAppProcess({
    endpoints: { ...endpoints, tables: { connectionString: tables.connectionString } },
    env: profiles === undefined ? env : { ...env, ENROLLMENT_PROFILES: profiles },
    output: 'ignore',
  });
  const get: Get = async (call, method = 'GET', body = undefined) => {
    const response = await fetch(`${app.url}/api/${call}`, {
      method,
      headers: {
        'x-functions-key': endpoints.keys.function,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) {
      throw new Error(`${method} ${call} was answered ${response.status}: ${await response.text()}`);
    }
    return (await response.json()) as Record<string, unknown>;
  };
  try {
    return await work(get, () => memoryOf(app.child));
  } finally {
    await app.stop();
  }
}

/** States of all groups and of `count` of their members, with their rows in the index, as adoption and events make them. */
async function seedLedger({ tables, dps, profiles: file }: Fleet, count: number): Promise<void> {
  const profiles = new EnrollmentProfiles(JSON.parse(readFileSync(file, 'utf8')).profiles);
  const profile = profiles.for(product);
  if (!profile) {
    throw new Error(`No profile fits ${product}.`);
  }
  const as = { adoptionId: 'bench', product, profile };
  const loader = new Loader(tables);
  const table = (name: string) => ({
    transact: async (partition: string, changes: readonly Change[]) => {
      await loader.add(name, partition, changes);
      return changes.map(() => '*');
    },
  });
  const ledger = new Ledger(table('devices') as unknown as Table, table('batches') as unknown as Table);
  const put = async (subject: SubjectRef, state: SubjectState) => {
    await ledger.write(ledger.blank(subject), { state });
    const entry = { ...subject, ledger: ledgerFacts(subject, state, profiles) };
    for (const { partition, rowKey, values } of [...indexRowsOf(entry), mainRowOf(entry)]) {
      await loader.add('fleetindex', partition, [{ kind: 'upsert', rowKey, values }]);
    }
  };
  for await (const group of dps.enrollmentGroups.query()) {
    await put({ kind: 'batch', id: group.enrollmentGroupId.toLowerCase() }, stateOfGroup(group, as));
  }
  const createdAt = new Date().toISOString();
  for (let group = 0; group < groups; group++) {
    for (let device = 0; device < count / groups; device++) {
      const id = `seed-${group}-${device}`;
      await put({ kind: 'device', id }, stateOfMember({ id, createdAt, group: `seed-group-${group}` }, as));
    }
  }
  await loader.flush();
}

class Loader {
  readonly #tables: TableStandIn;
  readonly #rows = new Map<string, [string, string, object][]>();

  constructor(tables: TableStandIn) {
    this.#tables = tables;
  }

  async add(table: string, partition: string, changes: readonly Change[]): Promise<void> {
    const rows = this.#rows.get(table) ?? [];
    this.#rows.set(table, rows);
    for (const change of changes) {
      rows.push([partition, change.rowKey, 'values' in change ? change.values : {}]);
    }
    if (rows.length >= loadedAtOnce) {
      await this.#tables.load(table, rows.splice(0));
    }
  }

  async flush(): Promise<void> {
    for (const [table, rows] of this.#rows) {
      await this.#tables.load(table, rows.splice(0));
    }
  }
}

/** One record in a hundred goes, and comes again with newer times. */
async function changeOneInAHundred({ rig, dps }: Fleet): Promise<void> {
  const ids = Array.from({ length: registrations / 100 }, (_, index) => {
    const group = index % groups;
    return `seed-${group}-${Math.floor(index / groups) * 100}`;
  });
  const worker = async () => {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      await dps.deviceRegistrationStates.delete(id);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  await rig.control('seed', 'POST', { groups, registrationsPerGroup: perGroup });
}

/** Milliseconds a page of registrations takes, one behind the other. */
async function pageLatency(dps: DeviceProvisioningClient): Promise<number> {
  const began = performance.now();
  let read = 0;
  for (let group = 0; read < 300; group = (group + 1) % groups) {
    for await (const _ of dps.deviceRegistrationStates.query(`seed-group-${group}`).byPage()) {
      read++;
      if (read >= 300) {
        break;
      }
    }
  }
  return (performance.now() - began) / read;
}

const samples = 200;

/** Seconds that as many calls take one behind the other that do nothing but read and write as many rows. */
async function bareTime({ tables }: Fleet, { calls, rowsRead, rowsWritten }: TableCalls): Promise<number> {
  const table = new Table('bare', { connectionString: tables.connectionString });
  const values = {
    ...{ status: 'assigned', substatus: 'initialAssignment', assignedHub: 'hub.azure-devices.net' },
    ...{
      deviceId: 'seed-00-00000',
      created: '2026-11-26T04:00:00.0000000Z',
      history: '[[1,"2026-11-26T04:00:00Z"]]',
    },
  };
  const rowsOfChange = Math.max(1, Math.round((rowsWritten - calls.write) / Math.max(1, calls.transaction)));
  const rowsOfPage = Math.max(1, Math.round((rowsRead - calls.get) / Math.max(1, calls.page)));
  const timed = async (work: (sample: number) => Promise<unknown>) => {
    const began = performance.now();
    for (let sample = 0; sample < samples; sample++) {
      await work(sample);
    }
    return (performance.now() - began) / samples;
  };
  const transaction = await timed((sample) =>
    table.transact(
      `p${sample}`,
      Array.from({ length: Math.min(100, rowsOfChange) }, (_, row) => ({
        kind: 'upsert',
        rowKey: `row-${row}`,
        values,
      })),
    ),
  );
  const rows: [string, string, object][] = Array.from({ length: rowsOfPage }, (_, row) => [
    'page',
    `row-${String(row).padStart(5, '0')}`,
    values,
  ]);
  await tables.load('bare', rows);
  const page = await timed(() => table.page("PartitionKey eq 'page'"));
  const get = await timed(() => table.get('page', 'row-00000'));
  const write = await timed((sample) => table.upsert('single', `row-${sample}`, values));
  const inMs = calls.transaction * transaction + calls.page * page + calls.get * get + calls.write * write;
  return inMs / 1_000;
}

function writesOf(rig: Rig): Promise<number> {
  return rig.requestsSoFar(/CreateOrUpdate|Delete|Bulk/);
}
