import type { QueueSettings, TopicSettings } from '../../events/messaging-entities.ts';
import { BrokerServer } from './broker-server.ts';
import type { ServerCertificate } from './door.ts';
import { Namespace } from './namespace.ts';
import type { Counts } from './queue-types.ts';

export interface ServiceBusEmulatorOptions {
  readonly host?: string;
  /** 0, the default: a free one. */
  readonly port?: number;
  readonly queues: readonly QueueSettings[];
  readonly topics: readonly TopicSettings[];
  /** The clock of messages (not of access tokens). Whoever turns one of their own calls `runDeadlines` then. */
  readonly now?: () => number;
  /** Asked for by the first client that wants TLS, on the same port. */
  readonly certificate?: () => Promise<ServerCertificate>;
  /** Faults of a connection or of the emulator itself. */
  readonly onError?: (error: unknown) => void;
}

export interface ServiceBusEmulator {
  readonly connectionString: string;
  readonly port: number;
  /** Of a queue, a topic, `<topic>/Subscriptions/<subscription>`, or one of these with `/$DeadLetterQueue`. */
  counts(entity: string): Counts;
  /** Cuts every connection, as a fault of the network would. */
  dropConnections(): void;
  /** Acts on all that is due: expired locks and messages, scheduled messages. Timers do it by themselves. */
  runDeadlines(): void;
  close(): Promise<void>;
}

const key = { name: 'RootManageSharedAccessKey', value: 'SAS_KEY_VALUE' };

/** Azure Service Bus on localhost, for the unmodified `@azure/service-bus`. What differs is in README.md beside this. */
export async function startServiceBusEmulator(
  options: ServiceBusEmulatorOptions,
): Promise<ServiceBusEmulator> {
  const { host = '127.0.0.1', port = 0, now = Date.now, onError = () => {} } = options;
  const namespace = new Namespace(options.queues, options.topics, now);
  const server = new BrokerServer(namespace, { host, port, key, onError, certificate: options.certificate });
  await server.listen();
  return {
    port: server.port,
    connectionString:
      `Endpoint=sb://${host}:${server.port};SharedAccessKeyName=${key.name};` +
      `SharedAccessKey=${key.value};UseDevelopmentEmulator=true;`,
    counts: (entity) => namespace.queue(entity).counts,
    dropConnections: () => server.dropConnections(),
    runDeadlines: () => namespace.runDeadlines(),
    async close() {
      namespace.stop();
      await server.close();
    },
  };
}
