import { ServiceBusClient } from '@azure/service-bus';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import type { EnrollmentGroup, IndividualEnrollment } from '../../src/dps/models.ts';
import type { EventRecord } from '../../src/enrollment/ledger/subject-state.ts';
import { OutcomeListener } from '../../src/local/demo/outcome-listener.ts';
import { type AppProcess, startAppProcess } from '../../src/local/stack/app-process.ts';
import { type Stack, type StackOptions, startStack } from '../../src/local/stack/stack.ts';
import type { Clock } from '../../src/tools/clock.ts';
import { AppInstance, type AppInstanceOptions } from './app-instance.ts';
import { keyOf, type TestEvent } from './events.ts';
import { TurnedClock } from './turned-clock.ts';

export interface ChainOptions extends StackOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly apps?: number;
}

export type InstanceOptions = Omit<AppInstanceOptions, 'endpoints' | 'clock'> & { readonly clock?: Clock };

/** The real chain: both emulators, Azurite and the app in a process of its own, on free ports. */
export class Chain {
  readonly stack: Stack;
  readonly apps: AppProcess[];
  readonly dps: DeviceProvisioningClient;
  readonly listener: OutcomeListener;
  readonly serviceBus: ServiceBusClient;
  readonly clock: TurnedClock;
  /** Those of the app that run in this process, and so by the turned clock. */
  readonly instances: AppInstance[] = [];
  /** Events that were told to have ended, and then to have ended otherwise. A replay may do that. */
  readonly contradictions: string[] = [];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    stack: Stack,
    apps: AppProcess[],
    env: Readonly<Record<string, string>>,
    clock: TurnedClock,
  ) {
    this.clock = clock;
    this.stack = stack;
    this.apps = apps;
    this.#env = env;
    this.dps = DeviceProvisioningClient.fromConnectionString(stack.endpoints.dps.connectionString, {
      clock: { now: () => clock.milliseconds(), wait: (ms, signal) => clock.sleep(ms, signal) },
    });
    this.serviceBus = new ServiceBusClient(stack.endpoints.serviceBus.connectionString);
    this.listener = new OutcomeListener(stack.endpoints.serviceBus.connectionString, (outcome, before) => {
      if (before && JSON.stringify(before) !== JSON.stringify(outcome)) {
        this.contradictions.push(`${JSON.stringify(before)} -> ${JSON.stringify(outcome)}`);
      }
    });
  }

  static async start({ env = {}, apps = 1, ...options }: ChainOptions = {}): Promise<Chain> {
    const clock = new TurnedClock();
    const stack = await startStack({ now: () => clock.milliseconds(), ...options });
    const started = await Promise.all(
      Array.from({ length: apps }, () =>
        startAppProcess({ endpoints: stack.endpoints, env, output: outputOf() }),
      ),
    );
    return new Chain(stack, started, env, clock);
  }

  get url(): string {
    const [app] = this.apps;
    if (!app) {
      throw new Error('No app is running.');
    }
    return app.url;
  }

  async startApp(env: Readonly<Record<string, string>> = {}): Promise<AppProcess> {
    const app = await startAppProcess({
      endpoints: this.stack.endpoints,
      env: { ...this.#env, ...env },
      output: outputOf(),
    });
    this.apps.unshift(app);
    return app;
  }

  /** Turns the emulators' clock, and that of instances in this process: locks run out, scheduled messages come. */
  advance(inMs: number): void {
    this.clock.turn(inMs);
    this.stack.serviceBus.runDeadlines();
  }

  /** Another instance of the app, in this process. */
  startInstance(options: InstanceOptions = {}): AppInstance {
    const { endpoints } = this.stack;
    const instance = new AppInstance({
      endpoints,
      clock: this.clock,
      ...options,
      env: { ...this.#env, ...options.env },
    });
    this.instances.push(instance);
    return instance;
  }

  async killApp(): Promise<void> {
    await this.apps.shift()?.kill();
  }

  async close(): Promise<void> {
    await this.listener.close();
    await this.serviceBus.close();
    await this.dps.close();
    await Promise.all([...this.apps.map((app) => app.stop()), this.#closeInstances()]);
    await this.stack.close();
  }

  /** What waits there for operations, or for later, need not be waited for by the clock on the wall. */
  async #closeInstances(): Promise<void> {
    const closing = Promise.all(this.instances.map((instance) => instance.close()));
    let isClosed = false;
    void closing.finally(() => {
      isClosed = true;
    });
    while (!isClosed) {
      this.clock.turn(10_000);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await closing;
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { 'x-functions-key': this.stack.endpoints.keys.function, ...init.headers };
    return fetch(path.startsWith('http') ? path : `${this.url}${path}`, { ...init, headers });
  }

  async json<T = Record<string, unknown>>(path: string, init: RequestInit = {}): Promise<T> {
    return (await (await this.request(path, init)).json()) as T;
  }

  post(events: TestEvent | readonly TestEvent[], headers: Record<string, string> = {}): Promise<Response> {
    const type = Array.isArray(events)
      ? 'application/cloudevents-batch+json'
      : 'application/cloudevents+json';
    return this.request('/api/events', {
      method: 'POST',
      headers: { 'content-type': type, ...headers },
      body: JSON.stringify(events),
    });
  }

  async sendToQueue(events: readonly (TestEvent | string)[]): Promise<void> {
    const sender = this.serviceBus.createSender('manufacturing-events');
    let batch = await sender.createMessageBatch();
    for (const event of events) {
      const text = typeof event === 'string' ? event : JSON.stringify(event);
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

  /** Waits until every one of these events has its outcome. */
  async ended(events: readonly TestEvent[], timeoutInMs = 50_000): Promise<void> {
    const keys = [...new Set(events.map(keyOf))];
    await this.listener.until(
      (outcomes) => keys.every((key) => outcomes.has(key)),
      timeoutInMs,
      () =>
        `no outcome yet of ${keys.filter((key) => !this.listener.outcomes.has(key)).length} of ${keys.length}`,
    );
  }

  outcomeOf(event: TestEvent) {
    return this.listener.outcomes.get(keyOf(event));
  }

  /** What the ledger has of an event. */
  recordOf(event: TestEvent): Promise<EventRecord | undefined> {
    const [instance] = this.instances;
    if (!instance) {
      throw new Error('No instance runs in this process.');
    }
    const kind = event.type.startsWith('batch') ? 'batch' : 'device';
    return instance.services.ledger.readEvent({ kind, id: event.subject.toLowerCase() }, keyOf(event));
  }

  /** Sends through the queue and waits for the outcomes. */
  async settle(...events: readonly TestEvent[]): Promise<void> {
    await this.sendToQueue(events);
    await this.ended(events);
  }

  control(path: string, method: string, body?: unknown): Promise<Response> {
    return fetch(`${this.stack.endpoints.dps.endpoint}/_emulator/${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  }

  async stats(): Promise<{ requests: Record<string, Record<string, number>> }> {
    return (await (await this.control('stats', 'GET')).json()) as {
      requests: Record<string, Record<string, number>>;
    };
  }

  async enrollments(): Promise<Map<string, IndividualEnrollment>> {
    const found = new Map<string, IndividualEnrollment>();
    for await (const each of this.dps.individualEnrollments.query()) {
      found.set(each.registrationId.toLowerCase(), each);
    }
    return found;
  }

  /** All of DPS without what must differ from run to run: times, etags and generated keys. */
  async stateOfDps(): Promise<{ enrollments: unknown[]; groups: unknown[] }> {
    const groups: EnrollmentGroup[] = [];
    for await (const each of this.dps.enrollmentGroups.query()) {
      groups.push(each);
    }
    const enrollments = [...(await this.enrollments()).values()];
    return {
      enrollments: enrollments.map(comparable).sort(byId),
      groups: groups.map(comparable).sort(byId),
    };
  }
}

/** `TEST_OUTPUT=1 npm test` shows what the apps write. */
function outputOf(): 'inherit' | 'ignore' {
  return process.env.TEST_OUTPUT ? 'inherit' : 'ignore';
}

function comparable(enrollment: IndividualEnrollment | EnrollmentGroup): Record<string, unknown> {
  const { etag: _, createdDateTimeUtc: __, lastUpdatedDateTimeUtc: ___, ...rest } = enrollment;
  return rest;
}

function byId(left: Record<string, unknown>, right: Record<string, unknown>): number {
  const id = (each: Record<string, unknown>) => String(each.registrationId ?? each.enrollmentGroupId);
  return id(left) < id(right) ? -1 : 1;
}

/** Looks again until what it looks for is there: tests wait for conditions, never for time. */
export async function eventually<T>(
  look: () => Promise<T | undefined | false>,
  what: string,
  timeoutInMs = 40_000,
): Promise<T> {
  const deadline = Date.now() + timeoutInMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`This did not happen: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
