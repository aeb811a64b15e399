import { CircuitBreaker } from '../../src/enrollment/dps-access/circuit-breaker.ts';
import { EnrollmentWriter } from '../../src/enrollment/dps-access/enrollment-writer.ts';
import { GroupRetirement } from '../../src/enrollment/dps-access/group-retirement.ts';
import { Reconciler } from '../../src/enrollment/dps-access/reconciler.ts';
import { RegistrationRecords } from '../../src/enrollment/dps-access/registration-records.ts';
import { RetryLaterError } from '../../src/enrollment/dps-access/retry-later-error.ts';
import { ThrottledDps } from '../../src/enrollment/dps-access/throttled-dps.ts';
import { DeviceHubs } from '../../src/enrollment/hub-access/device-hubs.ts';
import { Hubs } from '../../src/enrollment/hub-access/hubs.ts';
import { IdentityAccess } from '../../src/enrollment/hub-access/identity-access.ts';
import { MemberHubs } from '../../src/enrollment/hub-access/member-hubs.ts';
import { SubjectHubs } from '../../src/enrollment/hub-access/subject-hubs.ts';
import { Ledger } from '../../src/enrollment/ledger/ledger.ts';
import { loadProfiles } from '../../src/enrollment/ledger/profiles.ts';
import type { SubjectState } from '../../src/enrollment/ledger/subject-state.ts';
import {
  BackgroundQueue,
  type BackgroundTask,
  recoveryOf,
} from '../../src/enrollment/pipeline/background-queue.ts';
import { EventProcessor } from '../../src/enrollment/pipeline/event-processor.ts';
import { EventRejections } from '../../src/enrollment/pipeline/event-rejections.ts';
import { OutcomePublisher } from '../../src/enrollment/pipeline/outcome-publisher.ts';
import { loadSenders } from '../../src/enrollment/pipeline/senders.ts';
import { SubjectCompletion } from '../../src/enrollment/pipeline/subject-completion.ts';
import { SubjectHolder } from '../../src/enrollment/pipeline/subject-holder.ts';
import type { RejectedEvents } from '../../src/enrollment/rejected/rejected-events.ts';
import type { BackgroundWork, EventBus, QueuedEvent } from '../../src/events/event-bus.ts';
import type { Clock } from '../../src/tools/clock.ts';
import type { TestEvent } from '../support/events.ts';
import { type Option, Scheduler, Violation } from './scheduler.ts';
import { SimulatedDps, StoredEnrollments } from './simulated-dps.ts';
import { SimulatedHub, StoredIdentities } from './simulated-hub.ts';
import { SimulatedTable, StoredRows } from './simulated-table.ts';

const profiles = loadProfiles(undefined);
const senders = loadSenders(undefined);

export interface WorldOptions {
  readonly seed: number;
  readonly instances?: number;
  /** Messages at once in an instance. */
  readonly atOnce?: number;
  /** Faults in the whole run. */
  readonly faults?: number;
  /** Deliveries before a message is a dead letter. */
  readonly deliveries?: number;
  /** Whether the hubs are told, too, and devices register meanwhile. */
  readonly closesHubs?: boolean;
}

interface Message {
  readonly name: string;
  readonly queue: 'events' | 'background';
  readonly event?: QueuedEvent;
  readonly task?: BackgroundTask;
  deliveries: number;
  lock: string | undefined;
  scheduled: boolean;
  /** A look comes after any write, and any invocation, that was under way when it was sent. */
  readonly after: { readonly writes: readonly unknown[]; readonly invocations: readonly Invocation[] };
}

interface Invocation {
  readonly lock: string;
  readonly message: Message;
  readonly instance: Instance;
}

interface Instance {
  readonly name: string;
  readonly processor: EventProcessor;
  readonly running: Set<Invocation>;
  isAlive: boolean;
}

/** The real algorithm on tables, queue, DPS and clock in memory, interleaved, killed, stalled and woken by a seed. */
export class World {
  readonly scheduler: Scheduler;
  readonly devices = new StoredRows();
  readonly batches = new StoredRows();
  readonly dps = new StoredEnrollments();
  readonly hub = new StoredIdentities(this.dps);
  /** How often a person does not want to wait. */
  retriesLeft = 0;
  readonly outcomes = new Map<string, Set<string>>();
  readonly deadLetters: Message[] = [];
  /** Bodies of rejected events. */
  readonly noted = new Map<string, string>();
  readonly #options: Required<WorldOptions>;
  readonly #instances: Instance[] = [];
  readonly #swallowed = new Set<string>();
  #messages: Message[] = [];
  #time = Date.parse('2026-11-21T00:00:00Z');
  #faultsLeft: number;
  #made = 0;
  #broken: unknown;

  constructor(options: WorldOptions) {
    this.#options = { instances: 3, atOnce: 2, faults: 3, deliveries: 10, closesHubs: false, ...options };
    this.scheduler = new Scheduler(options.seed);
    this.#faultsLeft = this.#options.faults;
    for (let count = 0; count < this.#options.instances; count++) {
      this.#start();
    }
  }

  get closesHubs(): boolean {
    return this.#options.closesHubs;
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  send(event: TestEvent, name: string): void {
    const body = JSON.stringify(event);
    this.#enqueue(
      { name, queue: 'events', event: { key: '', body, attempt: 1, firstSeen: this.#now() } },
      false,
    );
  }

  recover(kind: 'device' | 'batch', id: string, now?: true): void {
    const state = this.state(kind, id);
    if (!state) {
      return;
    }
    const task = {
      task: 'complete' as const,
      subject: { kind, id },
      errand: { ...recoveryOf(state), ...(now ? { now } : {}) },
      chain: `recovery-${++this.#made}`,
      attempt: 1,
      tries: 0,
    };
    this.#enqueue({ name: task.chain, queue: 'background', task }, false);
  }

  /** Until all leases are over. */
  wait(): void {
    this.#time += 20 * 60_000;
  }

  state(kind: 'device' | 'batch', id: string): SubjectState | undefined {
    const row = (kind === 'device' ? this.devices : this.batches).get(id, 'state');
    return row && JSON.parse(textOf(row.values, 'state'));
  }

  /** Until nothing can happen any more, but that messages come again for keys that only a dead letter holds. */
  async run(mostSteps = 20_000): Promise<void> {
    for (;;) {
      const option = this.scheduler.pick(this.options());
      if (!option) {
        return;
      }
      await this.take(option);
      if (this.scheduler.steps > mostSteps) {
        if (this.deadLetters.some(bringsKeys)) {
          return;
        }
        throw new Violation('no end');
      }
    }
  }

  /** The first thing that can happen and is named so. */
  async step(name: RegExp): Promise<void> {
    const options = this.options(true);
    const option = options.find((each) => name.test(each.name));
    if (!option) {
      throw new Error(`Nothing is named ${name}: ${options.map((each) => each.name).join('; ')}`);
    }
    await this.take(option);
  }

  /** Whatever an owner does, without faults, until it would do what is named so. */
  async until(owner: string, name: RegExp): Promise<void> {
    for (let count = 0; count < 500; count++) {
      const mine = this.options(true).filter((each) => each.cost === 0 && each.name.startsWith(`${owner} `));
      if (mine.some((each) => name.test(each.name))) {
        return;
      }
      const [next] = mine;
      if (!next) {
        break;
      }
      await this.take(next);
    }
    throw new Error(`${owner} never ${name}. ${this.scheduler.trace.slice(-20).join('; ')}`);
  }

  async take(option: Option): Promise<void> {
    this.#faultsLeft -= option.cost;
    this.#time += 5;
    await this.scheduler.take(option);
    if (this.#broken !== undefined) {
      throw this.#broken;
    }
    this.#checkAlive();
  }

  options(allFaults = false): Option[] {
    const options = this.scheduler.callOptions();
    this.#messageOptions(options);
    for (const zombie of this.dps.underWay) {
      options.push({ name: `lands: ${zombie.name}`, cost: 0, weight: 2, happen: () => zombie.land() });
      if (!zombie.isCertain) {
        options.push({
          name: `never lands: ${zombie.name}`,
          cost: 0,
          weight: 1,
          happen: () => void this.dps.underWay.delete(zombie),
        });
      }
    }
    if (this.retriesLeft > 0) {
      this.#retryOptions(options);
    }
    for (const id of this.hub.registrationsLeft > 0 ? this.devicesLetIn() : []) {
      const happen = () => this.hub.register(id, this.#time);
      options.push({ name: `${id} registers`, cost: 0, weight: 1, happen });
    }
    for (const instance of this.#instances) {
      if (instance.running.size > 0) {
        const happen = () => this.#kill(instance);
        options.push({ name: `${instance.name} is killed`, cost: 1, weight: 1, happen });
      }
    }
    return options.filter(({ cost }) => allFaults || cost === 0 || cost <= this.#faultsLeft);
  }

  #retryOptions(options: Option[]): void {
    for (const [kind, rows] of this.#rows()) {
      for (const id of rows.partitions.keys()) {
        if ((this.state(kind, id)?.pending.length ?? 0) > 0) {
          const happen = () => {
            this.retriesLeft--;
            this.recover(kind, id, true);
          };
          options.push({ name: `a person retries ${id}`, cost: 0, weight: 1, happen });
        }
      }
    }
  }

  #rows() {
    return [
      ['device', this.devices],
      ['batch', this.batches],
    ] as const;
  }

  /** Those that DPS would let in now. A beacon comes through its group, unless its own enrollment says otherwise. */
  devicesLetIn(): readonly string[] {
    const isOpen = (id: string) =>
      (this.dps.enrollments.get(id)?.provisioningStatus ?? 'enabled') === 'enabled';
    const singles = ['thermostat-1', 'meter-1'].filter((id) => this.dps.enrollments.has(id) && isOpen(id));
    const members = [...this.dps.registrations.keys()].filter((id) => id.startsWith('batch-1-'));
    const isGroupOpen = this.dps.enrollments.has('batch-1') && isOpen('batch-1');
    return [
      ...singles,
      ...(this.devices.partitions.has('beacon-1') && isOpen('beacon-1') ? ['beacon-1'] : []),
      ...(isGroupOpen ? members.slice(0, 2) : []),
    ];
  }

  #messageOptions(options: Option[]): void {
    for (const message of this.#messages) {
      const { name } = message;
      if (message.scheduled) {
        if (this.#isDue(message)) {
          const happen = () => {
            message.scheduled = false;
            this.#time += 2_000;
          };
          options.push({ name: `${name} is due`, cost: 0, weight: 1, happen });
        }
        continue;
      }
      if (message.lock === undefined) {
        for (const instance of this.#instances) {
          if (instance.running.size < this.#options.atOnce) {
            const happen = () => this.#deliver(message, instance);
            options.push({ name: `${instance.name} gets ${name}`, cost: 0, weight: 4, happen });
          }
        }
        continue;
      }
      const holder = this.#invocationOf(message);
      options.push({
        name: `the lock of ${name} is over`,
        cost: holder ? 1 : 0,
        weight: holder ? 1 : 4,
        happen: () => this.#unlock(message),
      });
    }
  }

  #invocationOf({ lock }: Message): Invocation | undefined {
    return this.#instances.flatMap(({ running }) => [...running]).find((each) => each.lock === lock);
  }

  #isDue({ after }: Message): boolean {
    const writes = after.writes.some((each) => this.dps.underWay.has(each as never));
    return !writes && !after.invocations.some((each) => each.instance.running.has(each));
  }

  #enqueue(message: Pick<Message, 'name' | 'queue' | 'event' | 'task'>, scheduled: boolean): void {
    const isLook = message.task?.task === 'complete' && 'look' in message.task.errand;
    const invocations = this.#instances.flatMap(({ running }) => [...running]);
    this.#messages.push({
      ...message,
      deliveries: 0,
      lock: undefined,
      scheduled,
      after: {
        writes: isLook ? [...this.dps.underWay] : [],
        invocations: isLook ? invocations : [],
      },
    });
  }

  #unlock(message: Message): void {
    message.lock = undefined;
    if (message.deliveries >= this.#options.deliveries) {
      this.#messages = this.#messages.filter((each) => each !== message);
      this.deadLetters.push(message);
    }
  }

  #deliver(message: Message, instance: Instance): void {
    message.deliveries++;
    message.lock = `lock-${++this.#made}`;
    const invocation: Invocation = { lock: message.lock, message, instance };
    instance.running.add(invocation);
    const complete = () => {
      instance.running.delete(invocation);
      if (message.lock === invocation.lock) {
        this.#messages = this.#messages.filter((each) => each !== message);
      }
    };
    this.#work(message, instance).then(
      () => this.scheduler.call(instance.name, `completes ${message.name}`, complete),
      (error) => {
        this.#broken ??= error;
      },
    );
  }

  #work(message: Message, { processor }: Instance): Promise<void> {
    const { event, task, deliveries: deliveryCount } = message;
    if (task?.task === 'complete') {
      return processor.complete(task, deliveryCount);
    }
    const {
      body = '',
      attempt = 1,
      firstSeen = this.#now(),
      chain,
      tries = 0,
      replay,
      announced,
    } = event ?? {};
    return processor.process({
      text: String(body),
      chain: chain ?? message.name,
      attempt,
      tries,
      firstSeen,
      replay,
      announced: announced === true,
      deliveryCount,
    });
  }

  #start(): void {
    const name = String.fromCharCode(65 + (this.#instances.length % 26));
    this.#instances.push(this.#instance(name));
  }

  #kill(instance: Instance): void {
    instance.isAlive = false;
    for (const call of [...this.scheduler.calls]) {
      if (call.owner === instance.name) {
        this.scheduler.calls.delete(call);
      }
    }
    instance.running.clear();
    const index = this.#instances.indexOf(instance);
    this.#instances[index] = this.#instance(instance.name);
  }

  #instance(name: string): Instance {
    const { scheduler } = this;
    const skew = scheduler.random.below(120_000) - 60_000;
    const clock: Clock = {
      now: () => new Date(this.#time + skew),
      sleep: () => scheduler.call(name, 'wakes', () => undefined),
    };
    const random = () => scheduler.random.next();
    const log = () => {};
    const client = new SimulatedDps(scheduler, name, this.dps) as never;
    const budget = {
      acquire: () =>
        scheduler.call(
          name,
          'gets a token',
          () => undefined,
          ({ reject }) => [
            { name: 'none left', happen: () => reject(new RetryLaterError('used up', { soon: true })) },
          ],
        ),
      giveBack: () => {},
      throttled: async () => {},
    };
    const throttledDps = new ThrottledDps(budget, new CircuitBreaker(clock, log), clock);
    const ledger = new Ledger(
      new SimulatedTable(scheduler, name, this.devices),
      new SimulatedTable(scheduler, name, this.batches),
    );
    const bus = this.#bus(name);
    const outcomes = new OutcomePublisher(bus);
    const background = new BackgroundQueue(bus);
    const rejectedEvents = {
      note: ({ key, kept }: { key: string; kept: { body: string; why?: string } }) =>
        scheduler.call(name, 'notes a rejection', () => {
          if (!this.noted.has(key) || kept.why === undefined) {
            this.noted.set(key, kept.body);
          }
        }),
    } as unknown as RejectedEvents;
    const rejections = new EventRejections({ rejectedEvents, outcomes, clock, log });
    const reconciler = new Reconciler(
      client,
      throttledDps,
      new EnrollmentWriter(client, throttledDps, clock),
    );
    const registrations = new RegistrationRecords(client, throttledDps);
    const retirement = new GroupRetirement(reconciler, registrations, clock);
    const parts = { ledger, profiles, rejections, clock, random };
    const hubs = this.#options.closesHubs
      ? this.#hubs(name, { ...parts, throttledDps, registrations, log })
      : undefined;
    const holder = new SubjectHolder({ ...parts, reconciler, retirement, registrations, hubs });
    const completion = new SubjectCompletion({ ...parts, holder, outcomes, bus, background, log });
    const processor = new EventProcessor({ completion, profiles, senders, rejections, bus, clock });
    return { name, processor, running: new Set(), isAlive: true };
  }

  #hubs(
    name: string,
    {
      ledger,
      throttledDps: throttled,
      registrations: records,
      clock,
      log,
    }: {
      ledger: Ledger;
      throttledDps: ThrottledDps;
      registrations: RegistrationRecords;
      clock: Clock;
      log: () => void;
    },
  ): SubjectHubs {
    const client = new SimulatedHub(this.scheduler, name, this.hub, this.dps);
    const access = new IdentityAccess(new Hubs(() => ({ client, throttled })));
    const earlier = { of: async () => [] };
    const devices = new DeviceHubs({ access, earlier, clock, log });
    const members = new MemberHubs({ access, records, earlier, clock, log });
    return new SubjectHubs({ devices, members, ledger, profiles });
  }

  #bus(name: string): EventBus {
    const { scheduler } = this;
    return {
      queueEvents: ([event]: readonly QueuedEvent[]) =>
        scheduler.call(name, 'sends again', () => {
          const next = `${event?.chain}'`;
          this.#enqueue(
            { name: `${next}${event?.attempt}`, queue: 'events', ...(event ? { event } : {}) },
            true,
          );
        }),
      queueWork: ({ id, work }: BackgroundWork) =>
        scheduler.call(name, 'sends work', () => {
          if (this.#swallowed.has(id)) {
            return;
          }
          this.#swallowed.add(id);
          const task = structuredClone(work) as unknown as BackgroundTask;
          this.#enqueue({ name: id.slice(0, 24), queue: 'background', task }, true);
        }),
      publish: ({ id, type }: { id: string; type: string }) =>
        scheduler.call(name, 'publishes', () => {
          const told = this.outcomes.get(id) ?? new Set<string>();
          this.outcomes.set(id, told.add(type.replace('enrollment.', '')));
        }),
    } as unknown as EventBus;
  }

  /** For the person who reads a violation. */
  describe(): string {
    const rows = [...this.devices.partitions, ...this.batches.partitions].flatMap(([id, stored]) =>
      [...stored].map(
        ([row, { values }]) => `${id} ${row}: ${textOf(values, row === 'state' ? 'state' : 'event')}`,
      ),
    );
    const dps = [...this.dps.enrollments].map(
      ([id, enrollment]) => `DPS ${id}: ${JSON.stringify(enrollment)}`,
    );
    return [...rows, ...dps].join('\n');
  }

  #now(): Date {
    return new Date(this.#time);
  }

  /** While anything is pending, a message of the device is alive. */
  #checkAlive(): void {
    if (this.#messages.length > 0 || this.deadLetters.length > 0) {
      return;
    }
    for (const [kind, rows] of this.#rows()) {
      for (const id of rows.partitions.keys()) {
        const state = this.state(kind, id);
        const left = state && (state.pending.length > 0 || state.outcomesDue || state.look);
        if (left) {
          throw new Violation(
            `${kind} ${id} is left: ${state.pending.length} pending, due ${state.outcomesDue}, look ${state.look}`,
          );
        }
      }
    }
  }
}

export function textOf(values: Readonly<Record<string, unknown>>, name: string): string {
  let text = String(values[name] ?? '');
  for (let part = 1; values[`${name}_${part}`] !== undefined; part++) {
    text += String(values[`${name}_${part}`]);
  }
  return text;
}

function bringsKeys({ event }: Message): boolean {
  return JSON.stringify(event ?? null).includes('primaryKey');
}
