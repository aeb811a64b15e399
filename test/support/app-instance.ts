import {
  type ProcessErrorArgs,
  ServiceBusClient,
  type ServiceBusReceivedMessage,
  type ServiceBusReceiver,
} from '@azure/service-bus';
import { backgroundWorkQueue, manufacturingEventsQueue } from '../../src/events/messaging-entities.ts';
import { type Endpoints, settingsFor } from '../../src/local/stack/endpoints.ts';
import type { Services } from '../../src/services.ts';
import { readSettings } from '../../src/settings.ts';
import type { Clock } from '../../src/tools/clock.ts';
import { type Alterations, AlteredServices } from './altered-services.ts';

export interface AppInstanceOptions {
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  readonly env?: Readonly<Record<string, string>>;
  /** Messages at once; as in host.json by default. */
  readonly atOnce?: number;
  /** False: a message whose work takes longer than its lock is delivered again meanwhile. */
  readonly renewsLocks?: boolean;
  readonly altered?: Alterations;
}

const renewEveryInMs = 15_000;

/**
 * The app in this process, so that its clock can be turned: what the queue triggers do, on the real client, which
 * would renew locks by the clock on the wall.
 */
export class AppInstance {
  readonly services: Services;
  readonly logged: string[] = [];
  /** What was thrown: messages of these are delivered again, and dead-lettered in the end. */
  readonly thrown: unknown[] = [];
  readonly #client: ServiceBusClient;
  readonly #receivers: ServiceBusReceiver[] = [];
  readonly #running = new Set<Promise<void>>();

  readonly #clock: Clock;
  readonly #renewsLocks: boolean;

  constructor({
    endpoints,
    clock,
    env = {},
    atOnce = 100,
    renewsLocks = true,
    altered = {},
  }: AppInstanceOptions) {
    this.#clock = clock;
    this.#renewsLocks = renewsLocks;
    const settings = readSettings({
      ...settingsFor(endpoints),
      DPS_OPERATIONS_PER_MINUTE: '1000000',
      ...env,
    });
    const log = (level: string, message: string, fields?: object) =>
      void this.logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
    this.services = new AlteredServices(settings, { clock, log }, altered);
    this.#client = new ServiceBusClient(endpoints.serviceBus.connectionString);
    this.#receive(manufacturingEventsQueue.name, atOnce, (message) =>
      this.services.processor.process(
        this.services.decode({
          body: message.body as Uint8Array,
          contentType: message.contentType,
          properties: message.applicationProperties ?? {},
          enqueuedAt: message.enqueuedTimeUtc ?? clock.now(),
          deliveryCount: (message.deliveryCount ?? 0) + 1,
          messageId: message.messageId === undefined ? undefined : String(message.messageId),
          name: message.sequenceNumber?.toString(),
        }),
      ),
    );
    this.#receive(backgroundWorkQueue.name, 4, (message) => {
      const body: unknown = message.body;
      return this.services.backgroundWork.work(
        body instanceof Uint8Array ? Buffer.from(body).toString() : body,
        (message.deliveryCount ?? 0) + 1,
      );
    });
  }

  /** Nothing is at work here, messages included whose locks are lost. */
  get isIdle(): boolean {
    return this.#running.size === 0;
  }

  async close(): Promise<void> {
    for (const receiver of this.#receivers) {
      await receiver.close();
    }
    await Promise.all(this.#running);
    await this.#client.close();
    await this.services.close();
  }

  #receive(queue: string, atOnce: number, work: (message: ServiceBusReceivedMessage) => Promise<void>): void {
    const receiver = this.#client.createReceiver(queue, {
      maxAutoLockRenewalDurationInMs: 0,
      skipParsingBodyAsJson: true,
    });
    this.#receivers.push(receiver);
    const handle = async (message: ServiceBusReceivedMessage) => {
      using _ = this.#renewsLocks ? this.#renewed(receiver, message) : undefined;
      try {
        await work(message);
      } catch (error) {
        this.thrown.push(error);
        await receiver.abandonMessage(message).catch(lockIsLost);
        return;
      }
      await receiver.completeMessage(message).catch(lockIsLost);
    };
    receiver.subscribe(
      {
        processMessage: async (message) => {
          const ended = handle(message);
          this.#running.add(ended);
          await ended.finally(() => this.#running.delete(ended));
        },
        processError: async (_: ProcessErrorArgs) => {},
      },
      { autoCompleteMessages: false, maxConcurrentCalls: atOnce },
    );
  }

  #renewed(receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage): Disposable {
    const ended = new AbortController();
    const renew = async () => {
      for (;;) {
        await this.#clock.sleep(renewEveryInMs, ended.signal);
        await receiver.renewMessageLock(message);
      }
    };
    renew().catch(lockIsLost);
    return { [Symbol.dispose]: () => ended.abort() };
  }
}

/** The message comes again, which is what some tests are about. */
function lockIsLost(): void {}
