import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ServiceBusClient } from '@azure/service-bus';
import { type AppProcess, startAppProcess } from '../../src/local/stack/app-process.ts';
import { type Endpoints, readEndpoints } from '../../src/local/stack/endpoints.ts';
import { freePortsOfStack } from '../support/free-ports.ts';

const project = path.resolve(import.meta.dirname, '../..');

/** The emulators in processes of their own, and the app in others. */
export class Rig {
  readonly endpoints: Endpoints;
  readonly apps: AppProcess[] = [];
  readonly #stack: ChildProcess;
  readonly #folder: string;

  private constructor(endpoints: Endpoints, stack: ChildProcess, folder: string) {
    this.endpoints = endpoints;
    this.#stack = stack;
    this.#folder = folder;
  }

  static async start(): Promise<Rig> {
    const folder = mkdtempSync(path.join(tmpdir(), 'bench-pipeline-'));
    const file = path.join(folder, 'endpoints.json');
    const flags = ['src/local/start.ts', '--no-app', `--endpoints=${file}`, ...freePortsOfStack];
    const stack = spawn(process.execPath, flags, { cwd: project, stdio: 'ignore' });
    while (!existsSync(file)) {
      await pause(10);
    }
    return new Rig(readEndpoints(file), stack, folder);
  }

  async startApps(count: number, env: Readonly<Record<string, string>>): Promise<void> {
    const { endpoints } = this;
    const started = Array.from({ length: count }, () =>
      startAppProcess({ endpoints, env, output: 'ignore' }),
    );
    this.apps.push(...(await Promise.all(started)));
  }

  async stopApps(): Promise<void> {
    await Promise.all(this.apps.splice(0).map((app) => app.stop()));
  }

  async control(call: string, method: string, body?: unknown): Promise<Response> {
    return fetch(`${this.endpoints.dps.endpoint}/_emulator/${call}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  }

  /** Answers of DPS by status, over all operations. */
  async answers(): Promise<Record<string, number>> {
    const byStatus: Record<string, number> = {};
    for (const statuses of Object.values(await this.#requests())) {
      for (const [status, times] of Object.entries(statuses)) {
        byStatus[status] = (byStatus[status] ?? 0) + times;
      }
    }
    return byStatus;
  }

  /** How many requests DPS has answered of some operations. */
  async requestsSoFar(operation: RegExp): Promise<number> {
    return Object.entries(await this.#requests())
      .filter(([name]) => operation.test(name))
      .flatMap(([, statuses]) => Object.values(statuses))
      .reduce((sum, times) => sum + times, 0);
  }

  async #requests(): Promise<Record<string, Record<string, number>>> {
    const stats = await (await this.control('stats', 'GET')).json();
    return (stats as { requests: Record<string, Record<string, number>> }).requests;
  }

  async close(): Promise<void> {
    await this.stopApps();
    const exited = once(this.#stack, 'exit');
    this.#stack.kill('SIGTERM');
    await exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

let series = 0;

/** Events of new devices, as texts. */
export function newDevices(count: number): string[] {
  const run = ++series;
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      specversion: '1.0',
      id: `bench-${run}-${index}`,
      source: '/factories/bench',
      type: 'device.manufactured',
      subject: `thermostat-${run}-${String(index).padStart(6, '0')}`,
      time: new Date().toISOString(),
      data: { product: 'thermostat-g2', tags: { plant: 'bench' } },
    }),
  );
}

export async function sendInBatches(client: ServiceBusClient, texts: readonly string[]): Promise<void> {
  const sender = client.createSender('manufacturing-events');
  let batch = await sender.createMessageBatch();
  for (const text of texts) {
    const message = { body: Buffer.from(text), contentType: 'application/cloudevents+json' };
    if (batch.tryAddMessage(message)) {
      continue;
    }
    await sender.sendMessages(batch);
    batch = await sender.createMessageBatch();
    batch.tryAddMessage(message);
  }
  await sender.sendMessages(batch);
  await sender.close();
}

/** Counts outcomes as they come, and remembers when each event's came. */
export class OutcomeCounter {
  readonly arrivedAt = new Map<string, number>();
  readonly #client: ServiceBusClient;

  constructor(connectionString: string) {
    this.#client = new ServiceBusClient(connectionString);
    const receiver = this.#client.createReceiver('enrollment-outcomes', 'all', {
      receiveMode: 'receiveAndDelete',
    });
    receiver.subscribe(
      {
        processMessage: async ({ body }) => {
          this.arrivedAt.set(body.data.event.id, performance.now());
        },
        processError: async () => {},
      },
      { maxConcurrentCalls: 100 },
    );
  }

  async reached(count: number, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (this.arrivedAt.size < count) {
      if (performance.now() > deadline) {
        throw new Error(`${this.arrivedAt.size} of ${count} events have ended.`);
      }
      await pause(5);
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

export function pause(inMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, inMs));
}
