import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { queues, topics } from '../../events/messaging-entities.ts';
import { newWebhookSecret } from '../../events/webhook-secrets.ts';
import type { ServiceBusEmulator } from '../servicebus/emulator.ts';
import { startAzurite } from './azurite.ts';
import type { Endpoints } from './endpoints.ts';
import { explainTakenPort } from './port-taken.ts';

/** Ports: 0 picks a free one. */
export interface StackOptions {
  readonly dpsPort?: number;
  readonly dpsTlsPort?: number;
  readonly mqttPort?: number;
  readonly serviceBusPort?: number;
  /** The blob service's; queues and tables take the next two. */
  readonly azuritePort?: number;
  /** Absent: everything is in memory. */
  readonly dataDirectory?: string;
  /**
   * Where the DPS emulator's authorities are kept, for whoever trusts them. Several stacks may share it. Absent: in the
   * data directory, and without one in a directory that goes with the stack.
   */
  readonly certificateDirectory?: string;
  /** The emulators' clock, in milliseconds. Who turns one of their own calls `serviceBus.runDeadlines()` then. */
  readonly now?: () => number;
}

export interface Stack {
  readonly endpoints: Endpoints;
  readonly serviceBus: ServiceBusEmulator;
  close(): Promise<void>;
}

interface Part {
  close(): Promise<void>;
}

/** Starts all that the app needs in Azure, on localhost: DPS, Service Bus and Storage. The app is not part of it. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const certificates = certificateDirectoryFor(options);
  const starting = [
    startTables(options),
    startServiceBus(options, certificates.path),
    startDps(options, certificates.path),
  ] as const;
  const close = async () => {
    const started = await Promise.allSettled<Part>(starting);
    await Promise.all(started.map((part) => (part.status === 'fulfilled' ? part.value.close() : undefined)));
    certificates.remove();
  };
  try {
    const [tables, serviceBus, dps] = await Promise.all(starting);
    return {
      endpoints: {
        dps: {
          endpoint: dps.endpoint,
          tlsEndpoint: dps.tlsEndpoint,
          connectionString: dps.connectionString,
          idScope: dps.idScope,
          deviceEndpoint: dps.deviceEndpoint,
          mqttEndpoint: dps.mqttEndpoint,
          mqttWebSocketEndpoint: dps.mqttWebSocketEndpoint,
          caCertificate: dps.caCertificate,
        },
        serviceBus: { connectionString: serviceBus.connectionString },
        tables: { connectionString: tables.connectionString },
        keys: { function: newKey(), master: newKey() },
        webhookSecrets: { 'brno-mes': newWebhookSecret() },
      },
      serviceBus,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function startTables({ azuritePort = 0, dataDirectory }: StackOptions) {
  const [blob, queue, table] =
    azuritePort === 0 ? [0, 0, 0] : [azuritePort, azuritePort + 1, azuritePort + 2];
  const started = startAzurite({
    host: '127.0.0.1',
    ports: { blob, queue, table },
    ...(dataDirectory !== undefined && { dataDirectory: path.resolve(dataDirectory, 'storage') }),
  });
  return explainTakenPort(started, 'Azurite', () => '--azurite-port');
}

// The emulators are loaded only now, so that Azurite's process loads at the same time.

async function startServiceBus(
  { serviceBusPort = 0, now = Date.now }: StackOptions,
  certificateDirectory: string,
) {
  const { startServiceBusEmulator } = await import('../servicebus/emulator.ts');
  const certificate = async () => {
    const { openEmulatorAuthority, issueServerCertificate } = await import('../dps/certificate-authority.ts');
    return issueServerCertificate(await openEmulatorAuthority(certificateDirectory), [
      'localhost',
      '127.0.0.1',
    ]);
  };
  const started = startServiceBusEmulator({ port: serviceBusPort, queues, topics, now, certificate });
  return explainTakenPort(started, 'the Service Bus emulator', () => '--servicebus-port');
}

async function startDps(options: StackOptions, certificateDirectory: string) {
  const { startDpsEmulator } = await import('../dps/emulator.ts');
  const { dpsPort = 0, dpsTlsPort = 0, mqttPort = 0, dataDirectory } = options;
  const started = startDpsEmulator({
    port: dpsPort,
    tlsPort: dpsTlsPort,
    mqttPort,
    certificateDirectory,
    ...(options.now !== undefined && { now: options.now }),
    ...(dataDirectory !== undefined && { dataDirectory: path.resolve(dataDirectory, 'dps') }),
  });
  return explainTakenPort(started, 'the DPS emulator', (port) => {
    if (port === dpsPort) {
      return '--dps-port';
    }
    return port === mqttPort ? '--mqtt-port' : '--dps-tls-port';
  });
}

/** Certificates that nobody keeps do not outlive the stack. */
function certificateDirectoryFor({ certificateDirectory, dataDirectory }: StackOptions): {
  path: string;
  remove(): void;
} {
  const kept = certificateDirectory ?? (dataDirectory && path.join(dataDirectory, 'certificates'));
  if (kept !== undefined) {
    return { path: path.resolve(kept), remove: () => {} };
  }
  const temporary = mkdtempSync(path.join(tmpdir(), 'local-dps-'));
  return { path: temporary, remove: () => rmSync(temporary, { recursive: true, force: true }) };
}

function newKey(): string {
  return randomBytes(32).toString('base64url');
}
