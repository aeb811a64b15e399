import { type ChildProcess, execFile, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { Pool } from 'undici';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import type { IndividualEnrollment } from '../../src/dps/models.ts';
import { generateSasToken } from '../../src/dps/sas-token.ts';
import { startDpsEmulator } from '../../src/local/dps/emulator.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import type { Figure } from './figure.ts';

type Method = 'GET' | 'PUT' | 'POST';

const inFlight = 64;
const turnCount = 12;
const loads = 5;
const goalRatio = 0.9;
const goalLoadInMs = 20;
const testPolicy = 'provisioningserviceowner';

/**
 * What the client costs beside a bare undici loop that sends the same and parses the same, in operations per
 * CPU second of this process; the emulator has a process of its own.
 */
export async function run(report: (figure: Figure) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dps-client-bench-'));
  const emulator = fork(import.meta.filename, ['--emulator', directory]);
  try {
    const connectionString = await new Promise<string>((resolve, reject) => {
      emulator.once('message', (message) => resolve(String(message)));
      emulator.once('exit', () => reject(new Error('The emulator did not start.')));
    });
    await compare(connectionString, report);
    await measureMemory(connectionString, report);
    report(await measureLoading(directory));
  } finally {
    await stop(emulator);
    await rm(directory, { recursive: true, force: true });
  }
}

interface Contest {
  readonly name: string;
  readonly operations: number;
  client(): Promise<unknown>;
  bare(): Promise<unknown>;
}

async function compare(connectionString: string, report: (figure: Figure) => void): Promise<void> {
  const client = DeviceProvisioningClient.fromConnectionString(connectionString);
  const pool = new Pool(client.endpoint, {
    connections: inFlight,
    allowH2: false,
    keepAliveTimeout: 30_000,
  });
  await fill(client);
  for (const contest of contests(client, bareCaller(pool, connectionString))) {
    const figure = await decide(contest);
    report(figure);
  }
  await client.close();
  await pool.close();
}

/** A hundred enrollments: one page. */
async function fill(client: DeviceProvisioningClient): Promise<void> {
  await client.individualEnrollments.createMany(
    Array.from({ length: 100 }, (_, i) => enrollment(`bench-${i}`)),
  );
}

function enrollment(registrationId: string): IndividualEnrollment {
  return {
    registrationId,
    deviceId: registrationId,
    attestation: { type: 'tpm', tpm: { endorsementKey: endorsementKeyOf(7) } },
    initialTwin: { tags: { plant: 'brno', line: 3 }, properties: { desired: { interval: 30 } } },
    reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
    allocationPolicy: 'hashed',
  };
}

function contests(client: DeviceProvisioningClient, bare: BareCaller): Contest[] {
  const { individualEnrollments } = client;
  const one = enrollment('bench-1');
  const ten = Array.from({ length: 10 }, (_, i) => ({ ...enrollment(`bench-${i}`), etag: '*' }));
  return [
    {
      name: 'GET',
      operations: 1500,
      client: () => individualEnrollments.get('bench-1'),
      bare: () => bare('GET', '/enrollments/bench-1'),
    },
    {
      name: 'PUT',
      operations: 1500,
      client: () => individualEnrollments.createOrUpdate(one, { ifMatch: '*' }),
      bare: () => bare('PUT', '/enrollments/bench-1', one, { 'if-match': '*' }),
    },
    {
      name: 'query page',
      operations: 400,
      client: () => individualEnrollments.query().byPage().next(),
      bare: () => bare('POST', '/enrollments/query', { query: 'SELECT *' }),
    },
    {
      name: 'bulk',
      operations: 500,
      client: () => individualEnrollments.runBulkOperation({ mode: 'update', enrollments: ten }),
      bare: () => bare('POST', '/enrollments', { mode: 'update', enrollments: ten }),
    },
  ];
}

type BareCaller = (
  method: Method,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<unknown>;

function bareCaller(pool: Pool, connectionString: string): BareCaller {
  const [, host = ''] = /HostName=([^;]+)/.exec(connectionString) ?? [];
  const [, key = ''] = /SharedAccessKey=([^;]+)/.exec(connectionString) ?? [];
  const base = {
    authorization: generateSasToken(`http://${host}`, testPolicy, key),
    accept: 'application/json',
    'user-agent': 'dps-client-js/0.1.0',
  };
  const withBody = { ...base, 'content-type': 'application/json' };
  return async (method, path, body, headers) => {
    const answer = await pool.request({
      method,
      path: `${path}?api-version=2021-10-01`,
      headers: { ...(body === undefined ? base : withBody), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: 30_000,
      bodyTimeout: 30_000,
    });
    const parsed: unknown = await answer.body.json();
    if (answer.statusCode !== 200) {
      throw new Error(`${method} ${path}: ${answer.statusCode} ${JSON.stringify(parsed)}`);
    }
    return parsed;
  };
}

/** The two in short turns, so that whatever else this machine does hits both alike; the sums count. */
async function decide({ name, operations, client, bare }: Contest): Promise<Figure> {
  await repeat(client, operations);
  await repeat(bare, operations);
  let ours = 0;
  let theirs = 0;
  for (let turn = 0; turn < turnCount; turn += 2) {
    ours += await cpuSeconds(client, operations);
    theirs += await cpuSeconds(bare, operations);
    theirs += await cpuSeconds(bare, operations);
    ours += await cpuSeconds(client, operations);
  }
  const ratio = theirs / ours;
  return {
    name: `DPS client: ${name}`,
    value: Math.round((turnCount * operations) / ours),
    unit: 'operations per CPU second',
    baseline: Math.round((turnCount * operations) / theirs),
    ratio: Number(ratio.toFixed(3)),
    goal: `at least ${goalRatio} of a bare undici loop`,
    met: ratio >= goalRatio,
  };
}

async function cpuSeconds(call: () => Promise<unknown>, operations: number): Promise<number> {
  const before = process.cpuUsage();
  await repeat(call, operations);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

async function repeat(call: () => Promise<unknown>, operations: number): Promise<void> {
  let left = operations;
  const work = async () => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}

/** After a warm-up the heap should stay as it is; a tenth of a kilobyte a request would be a leak. */
async function measureMemory(connectionString: string, report: (figure: Figure) => void): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const requests = 40_000;
  const client = DeviceProvisioningClient.fromConnectionString(connectionString);
  const heapAfter = async (count: number) => {
    await repeat(() => client.individualEnrollments.get('bench-1'), count);
    collect();
    return process.memoryUsage().heapUsed;
  };
  await heapAfter(requests / 2);
  const before = await heapAfter(requests / 2);
  const growth = ((await heapAfter(requests)) - before) / requests;
  await client.close();
  report({
    name: 'DPS client: heap growth',
    value: Number(growth.toFixed(1)),
    unit: 'bytes a request',
    goal: 'at most 16 bytes',
    met: growth <= 16,
  });
}

/** Loads undici, then the client as it is deployed, bundled JavaScript, in a fresh process, several times. */
async function measureLoading(directory: string): Promise<Figure> {
  const bundle = join(directory, 'client.mjs');
  const built = await build({
    entryPoints: [fileURLToPath(new URL('../../src/dps/client.ts', import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
  const undici = import.meta.resolve('undici');
  await writeFile(bundle, (built.outputFiles[0]?.text ?? '').replace('from "undici"', `from "${undici}"`));
  const script =
    `const start = performance.now(); await import(${JSON.stringify(undici)}); const between = performance.now();` +
    `await import(${JSON.stringify(pathToFileURL(bundle).href)});` +
    'console.log(JSON.stringify([between - start, performance.now() - between]));';
  const times: [number, number][] = [];
  for (let i = 0; i < loads; i += 1) {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    times.push(JSON.parse(stdout));
  }
  const value = median(times.map(([, client]) => client));
  return {
    name: 'DPS client: loading, beyond undici',
    value: Number(value.toFixed(1)),
    unit: 'ms',
    baseline: Number(median(times.map(([bare]) => bare)).toFixed(1)),
    goal: `at most ${goalLoadInMs} ms`,
    met: value <= goalLoadInMs,
  };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    child.removeAllListeners('exit');
    child.once('exit', () => resolve());
    child.kill();
  });
}

if (process.argv[2] === '--emulator') {
  const { connectionString } = await startDpsEmulator({ certificateDirectory: process.argv[3] ?? tmpdir() });
  process.send?.(connectionString);
  // Without a parent there is nobody to serve.
  process.on('disconnect', () => process.exit());
} else if (import.meta.main) {
  await run((figure) => console.log(JSON.stringify(figure)));
}
