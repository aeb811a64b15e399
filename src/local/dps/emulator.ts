import { mkdir } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import {
  issueDeviceCertificate,
  issueServerCertificate,
  openAuthority,
  openEmulatorAuthority,
} from './certificate-authority.ts';
import { createTimestamps } from './clock.ts';
import { controlPrefix, handleControl } from './control-plane.ts';
import { connectionStringOf, defaultIdScope, initialConfiguration } from './defaults.ts';
import { createEtags } from './etags.ts';
import { Faults } from './faults.ts';
import { handleHubRequest, hubOf } from './hub/requests.ts';
import { openJournal } from './journal.ts';
import { type Listener, listenMqtt, listenPlain, listenTls } from './listeners.ts';
import type { MqttContext } from './mqtt/session.ts';
import { Quota } from './quota.ts';
import { type RegistrationContext, Registrations } from './registration.ts';
import { handleRequest } from './request-handler.ts';
import { RequestLog } from './request-log.ts';
import type { Service } from './service.ts';
import { ServiceAuthorization } from './service-authorization.ts';
import { EmulatorState } from './state.ts';
import { TpmChallenges } from './tpm-challenges.ts';

export interface DpsEmulatorOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Plain HTTP; 0, the default, picks a free port. */
  port?: number;
  /** HTTPS, and MQTT over WebSockets; 0, the default, picks a free port. */
  tlsPort?: number;
  /** MQTT over TLS; 0, the default, picks a free port. */
  mqttPort?: number;
  /** Keeps the state over restarts; without it, it is in memory. */
  dataDirectory?: string;
  /** Where the emulator's own authorities are made at first start, and kept. */
  certificateDirectory: string;
  /** Off unless set. */
  quota?: { operationsPerMinute?: number; registrationsPerMinute?: number };
  /** Milliseconds since 1970: a clock that can be turned. */
  now?: () => number;
}

export interface DpsEmulator {
  /** `http://127.0.0.1:7080` */
  endpoint: string;
  /** `https://localhost:7443` */
  tlsEndpoint: string;
  /** The TLS one: X.509 attestation needs it. */
  deviceEndpoint: string;
  /** `mqtts://localhost:8883` */
  mqttEndpoint: string;
  /** `wss://localhost:7443`, without the path. */
  mqttWebSocketEndpoint: string;
  /** `HostName=127.0.0.1:7080;SharedAccessKeyName=…;SharedAccessKey=…;UseDevelopmentEmulator=true` */
  connectionString: string;
  idScope: string;
  /** Path of the PEM that clients must trust. */
  caCertificate: string;
  close(): Promise<void>;
}

/**
 * Starts an emulator of Device Provisioning Service: both APIs and the control plane, on plain HTTP
 * and on TLS, and devices over MQTT.
 * @throws Error with `code` EADDRINUSE and `port` if a port is taken.
 */
export async function startDpsEmulator(options: DpsEmulatorOptions): Promise<DpsEmulator> {
  const { host = '127.0.0.1', dataDirectory } = options;
  const directory = resolve(options.certificateDirectory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const authority = await openEmulatorAuthority(directory);
  const deviceAuthority = await openAuthority(
    directory,
    'dps-emulator-device-ca',
    'CN=DPS emulator device CA',
  );
  const certificate = await issueServerCertificate(authority, ['localhost', '127.0.0.1', '::1', host]);

  const state = new EmulatorState(initialConfiguration);
  const journal = dataDirectory === undefined ? undefined : await openJournal(dataDirectory, state);
  const tokenHosts: string[] = [];
  const service = createService(state, options, tokenHosts, (csr, id) =>
    issueDeviceCertificate(deviceAuthority, csr, id),
  );
  const listeners: Listener[] = [];
  const close = async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
    journal?.close();
  };
  try {
    const opened = async (opening: Promise<Listener>) => {
      const listener = await opening;
      listeners.push(listener);
      return listener.port;
    };
    const mqtt: MqttContext = { service, sessions: new Map() };
    const handle = handlerOf(service);
    const port = await opened(listenPlain(handle, host, options.port ?? 0));
    const tlsPort = await opened(listenTls(handle, mqtt, certificate, host, options.tlsPort ?? 0));
    const mqttPort = await opened(listenMqtt(mqtt, certificate, host, options.mqttPort ?? 0));
    tokenHosts.push(...hostsOf(host, [port, tlsPort]));
    const plainHost = `${reachableName(host, '127.0.0.1')}:${port}`;
    const tlsName = reachableName(host, 'localhost');
    const tlsEndpoint = `https://${tlsName}:${tlsPort}`;
    return {
      endpoint: `http://${plainHost}`,
      tlsEndpoint,
      deviceEndpoint: tlsEndpoint,
      mqttEndpoint: `mqtts://${tlsName}:${mqttPort}`,
      mqttWebSocketEndpoint: `wss://${tlsName}:${tlsPort}`,
      connectionString: connectionStringOf(plainHost),
      idScope: defaultIdScope,
      caCertificate: authority.certificatePath,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function createService(
  state: EmulatorState,
  { quota = {}, now = Date.now }: DpsEmulatorOptions,
  tokenHosts: readonly string[],
  issueCertificate: RegistrationContext['issueCertificate'],
): Service {
  const challenges = new TpmChallenges(state);
  const clock = { now, timestamp: createTimestamps(now), newEtag: createEtags(now) };
  const shared = { ...clock, state, idScope: defaultIdScope, challenges };
  return {
    ...shared,
    authorization: new ServiceAuthorization(state, now, () => tokenHosts),
    quota: new Quota(quota, now),
    faults: new Faults(),
    log: new RequestLog(),
    registrations: new Registrations({ ...shared, issueCertificate }),
  };
}

function handlerOf(service: Service): RequestListener {
  return (request, response) => {
    const isControl = request.url === controlPrefix || request.url?.startsWith(`${controlPrefix}/`);
    const hub = isControl ? undefined : hubOf(service, request);
    if (hub !== undefined) {
      void handleHubRequest(service, hub, request, response);
      return;
    }
    void (isControl ? handleControl : handleRequest)(service, request, response);
  };
}

/** What SAS tokens may be for: SDKs sign for the host of their connection string, which has a port or not. */
function hostsOf(host: string, ports: readonly number[]): string[] {
  const names = ['localhost', '127.0.0.1', '[::1]', reachableName(host, 'localhost').toLowerCase()];
  return names.flatMap((name) => [name, ...ports.map((port) => `${name}:${port}`)]);
}

/** A host that listens on all addresses, or on the usual one, goes by a name of the loopback interface. */
function reachableName(host: string, loopback: string): string {
  if (['127.0.0.1', '0.0.0.0', '::', 'localhost'].includes(host)) {
    return loopback;
  }
  return isIPv6(host) ? `[${host}]` : host;
}
