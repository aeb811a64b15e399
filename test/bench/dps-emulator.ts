import { type ChildProcess, fork } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { startDpsEmulator } from '../../src/local/dps/emulator.ts';
import type { Figure } from './figure.ts';

const smallSize = 1_000;
const largeSize = 1_000_000;
const connectionCount = 16;
const warmUpMs = 1_000;
const measureMs = 2_000;
const maxRssMb = 1_536;
const apiVersion = 'api-version=2021-10-01';

interface Ready {
  endpoint: string;
  connectionString: string;
}

interface Usage {
  cpuSeconds: number;
  rssMb: number;
}

interface Rate {
  perSecond: number;
  perCpuSecond: number;
}

type NextRequest = () => {
  method: 'GET' | 'PUT' | 'POST';
  path: string;
  body?: string;
  headers: Record<string, string>;
};

/** The emulator beside a bare server, each in a process of its own, under the same load from this one. */
export async function run(report: (figure: Figure) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dps-bench-'));
  const bare = await Server.start('bare', directory);
  const emulator = await Server.start('emulator', directory);
  try {
    const requests = emulatorRequests(emulator.ready.connectionString);
    await emulator.control('POST', 'seed', { individualEnrollments: smallSize });
    const small = await measureAll(emulator, requests, smallSize);
    const answer = await emulator.text(requests.get(smallSize)());
    const echo = await bare.rate(() => ({
      method: 'PUT',
      path: '/',
      body: answer,
      headers: { 'content-type': 'application/json' },
    }));
    reportShare(report, 'GET of an enrollment', small.get, echo, 0.4);
    reportShare(report, 'PUT of an enrollment', small.put, echo, 0.3);

    await emulator.control('POST', 'seed', { individualEnrollments: largeSize });
    const large = await measureAll(emulator, requests, largeSize);
    reportScale(report, 'GET at 1,000,000', large.get, small.get);
    reportScale(report, 'PUT at 1,000,000', large.put, small.put);
    const cost = small.page.perCpuSecond / large.page.perCpuSecond;
    report({
      name: 'DPS emulator: query page at 1,000,000',
      value: round(1_000 / large.page.perCpuSecond),
      unit: 'CPU ms',
      baseline: round(1_000 / small.page.perCpuSecond),
      ratio: round(cost),
      goal: 'at most 3 times one at 1,000',
      met: cost <= 3,
    });
    const { rssMb } = await emulator.usage();
    report({
      name: 'DPS emulator: memory with 1,000,000 enrollments',
      value: Math.round(rssMb),
      unit: 'MB resident',
      goal: `at most ${maxRssMb}`,
      met: rssMb <= maxRssMb,
    });
  } finally {
    await Promise.all([bare.stop(), emulator.stop()]);
    await rm(directory, { recursive: true, force: true });
  }
}

function emulatorRequests(connectionString: string) {
  const authorization = tokenFor(connectionString);
  const headers = { authorization, 'content-type': 'application/json' };
  const id = (count: number) => `seed-device-${Math.floor(Math.random() * count)}`;
  const key = Buffer.alloc(64, 7).toString('base64');
  return {
    get:
      (count: number): NextRequest =>
      () => ({ method: 'GET', path: `/enrollments/${id(count)}?${apiVersion}`, headers }),
    put:
      (count: number): NextRequest =>
      () => {
        const registrationId = id(count);
        const body = JSON.stringify({
          registrationId,
          deviceId: registrationId,
          attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } },
          initialTwin: {
            tags: { plant: 'brno', product: 'thermostat-g2' },
            properties: { desired: { interval: 30 } },
          },
          provisioningStatus: 'enabled',
          reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
          allocationPolicy: 'hashed',
        });
        return {
          method: 'PUT',
          path: `/enrollments/${registrationId}?${apiVersion}`,
          body,
          headers: { ...headers, 'if-match': '*' },
        };
      },
    page:
      (count: number): NextRequest =>
      () => {
        const position = Buffer.from(`enrollments#${Math.floor(Math.random() * (count - 100))}`).toString(
          'base64url',
        );
        const token = Buffer.from(JSON.stringify([{ token: `+RID:~${position}` }])).toString('base64');
        const body = '{"query":"SELECT *"}';
        return {
          method: 'POST',
          path: `/enrollments/query?${apiVersion}`,
          body,
          headers: { ...headers, 'x-ms-continuation': token },
        };
      },
  };
}

async function measureAll(emulator: Server, requests: ReturnType<typeof emulatorRequests>, count: number) {
  return {
    get: await emulator.rate(requests.get(count)),
    put: await emulator.rate(requests.put(count)),
    page: await emulator.rate(requests.page(count)),
  };
}

function reportShare(
  report: (figure: Figure) => void,
  what: string,
  own: Rate,
  bare: Rate,
  goal: number,
): void {
  const ratio = own.perCpuSecond / bare.perCpuSecond;
  report({
    name: `DPS emulator: ${what}, per CPU second`,
    value: Math.round(own.perCpuSecond),
    unit: 'requests',
    baseline: Math.round(bare.perCpuSecond),
    ratio: round(ratio),
    goal: `at least ${goal} of a bare server`,
    met: ratio >= goal,
  });
}

function reportScale(report: (figure: Figure) => void, what: string, large: Rate, small: Rate): void {
  const ratio = large.perSecond / small.perSecond;
  report({
    name: `DPS emulator: ${what} enrollments`,
    value: Math.round(large.perSecond),
    unit: 'requests/s',
    baseline: Math.round(small.perSecond),
    ratio: round(ratio),
    goal: 'at least half of the rate at 1,000',
    met: ratio >= 0.5,
  });
}

/** A server in a child process, which tells its own CPU time. */
class Server {
  readonly ready: Ready;
  readonly #child: ChildProcess;
  readonly #pool: Pool;

  private constructor(child: ChildProcess, ready: Ready) {
    this.#child = child;
    this.ready = ready;
    this.#pool = new Pool(ready.endpoint, { connections: connectionCount });
  }

  static async start(role: 'bare' | 'emulator', directory: string): Promise<Server> {
    const child = fork(fileURLToPath(import.meta.url), [role, directory]);
    const [ready] = await once(child, 'message');
    return new Server(child, ready as Ready);
  }

  async usage(): Promise<Usage> {
    const answer = once(this.#child, 'message');
    this.#child.send('usage');
    const [usage] = await answer;
    return usage as Usage;
  }

  async rate(next: NextRequest): Promise<Rate> {
    await this.#load(next, warmUpMs);
    const before = await this.usage();
    const startedAt = performance.now();
    const count = await this.#load(next, measureMs);
    const seconds = (performance.now() - startedAt) / 1_000;
    const cpuSeconds = (await this.usage()).cpuSeconds - before.cpuSeconds;
    return { perSecond: count / seconds, perCpuSecond: count / cpuSeconds };
  }

  async text(request: ReturnType<NextRequest>): Promise<string> {
    const { statusCode, body } = await this.#pool.request(request);
    const text = await body.text();
    if (statusCode >= 300) {
      throw new Error(`${request.method} ${request.path}: ${statusCode} ${text}`);
    }
    return text;
  }

  async control(method: 'POST', path: string, body: unknown): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    const request = { method, path: `/_emulator/${path}`, body: JSON.stringify(body), headers };
    const reply = await this.#pool.request({ ...request, headersTimeout: 0, bodyTimeout: 0 });
    if (reply.statusCode >= 300) {
      throw new Error(`${path}: ${reply.statusCode} ${await reply.body.text()}`);
    }
    await reply.body.dump();
  }

  async stop(): Promise<void> {
    await this.#pool.destroy();
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exit;
  }

  async #load(next: NextRequest, ms: number): Promise<number> {
    const until = performance.now() + ms;
    let count = 0;
    const caller = async () => {
      while (performance.now() < until) {
        await this.text(next());
        count += 1;
      }
    };
    await Promise.all(Array.from({ length: connectionCount }, caller));
    return count;
  }
}

function tokenFor(connectionString: string): string {
  const host = /HostName=([^;]+)/.exec(connectionString)?.[1] ?? '';
  const keyName = /SharedAccessKeyName=([^;]+)/.exec(connectionString)?.[1] ?? '';
  const key = /SharedAccessKey=([^;]+)/.exec(connectionString)?.[1] ?? '';
  const expiry = Math.floor(Date.now() / 1_000) + 3_600;
  const signature = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${host}\n${expiry}`)
    .digest('base64');
  return `SharedAccessSignature sr=${host}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=${keyName}`;
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

async function startBare(): Promise<Ready> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' });
      response.end(JSON.stringify(value));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connectionString: '' };
}

async function serve(role: string, directory: string): Promise<void> {
  const ready =
    role === 'bare' ? await startBare() : await startDpsEmulator({ certificateDirectory: directory });
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuSeconds: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 2 ** 20 });
  });
  process.send?.({ endpoint: ready.endpoint, connectionString: ready.connectionString });
}

const [, script = '', role = '', directory = ''] = process.argv;
if (script === fileURLToPath(import.meta.url) && process.send !== undefined) {
  await serve(role, directory);
}
