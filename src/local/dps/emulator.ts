import { constants } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { issueDeviceCertificate, issueServerCertificate, openAuthority } from './certificate-authority.ts';
import { createTimestamps } from './clock.ts';
import { CONTROL_PREFIX, handleControl } from './control-plane.ts';
import { createEtags } from './etags.ts';
import { Faults } from './faults.ts';
import { openJournal } from './journal.ts';
import { Quota } from './quota.ts';
import { Registrations } from './registration.ts';
import { handleRequest, type Service } from './request-handler.ts';
import { RequestLog } from './request-log.ts';
import { ServiceAuthorization } from './service-authorization.ts';
import { type Configuration, EmulatorState } from './state.ts';
import { TpmChallenges } from './tpm-challenges.ts';

export interface DpsEmulatorOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Plain HTTP; 0, the default, picks a free port. */
  port?: number;
  /** HTTPS; 0, the default, picks a free port. */
  tlsPort?: number;
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
  /** `HostName=127.0.0.1:7080;SharedAccessKeyName=…;SharedAccessKey=…;UseDevelopmentEmulator=true` */
  connectionString: string;
  idScope: string;
  /** Path of the PEM that clients must trust. */
  caCertificate: string;
  close(): Promise<void>;
}

/** Well known and the same on every machine, so that connection strings outlive restarts. It protects nothing. */
const DEVELOPMENT_POLICY = {
  keyName: 'provisioningserviceowner',
  primaryKey: 'RFBTIGVtdWxhdG9yIHByaW1hcnkga2V5LCBub3QgYSBzZWNyZXQ=',
  secondaryKey: 'RFBTIGVtdWxhdG9yIHNlY29uZGFyeSBrZXksIG5vdCBhIHNlY3JldA==',
  rights: [
    'ServiceConfig',
    'EnrollmentRead',
    'EnrollmentWrite',
    'RegistrationStatusRead',
    'RegistrationStatusWrite',
    'DeviceConnect',
  ],
} as const;

const KEEP_ALIVE_MS = 120_000;
const ID_SCOPE = '0ne00EE0001';
const INITIAL_CONFIGURATION: Configuration = {
  hubs: [
    { hostName: 'hub.azure-devices.net', allocationWeight: 1, applyAllocationPolicy: true, latencyMs: 0 },
  ],
  policies: [DEVELOPMENT_POLICY],
  certificates: {},
};

/**
 * Starts an emulator of Device Provisioning Service: both APIs and the control plane, on plain HTTP and on TLS.
 * @throws Error with `code` EADDRINUSE and `port` if a port is taken.
 */
export async function startDpsEmulator(options: DpsEmulatorOptions): Promise<DpsEmulator> {
  const { host = '127.0.0.1', now = Date.now, certificateDirectory } = options;
  await mkdir(certificateDirectory, { recursive: true });
  const authority = await openAuthority(
    certificateDirectory,
    'dps-emulator-ca',
    'CN=DPS emulator CA, O=DPS emulator',
  );
  const deviceAuthority = await openAuthority(
    certificateDirectory,
    'dps-emulator-device-ca',
    'CN=DPS emulator device CA, O=DPS emulator',
  );
  const state = new EmulatorState(INITIAL_CONFIGURATION);
  const journal =
    options.dataDirectory === undefined ? undefined : await openJournal(options.dataDirectory, state);
  const hosts: string[] = [];
  const service = createService(state, options, now, hosts, (csr, id) =>
    issueDeviceCertificate(deviceAuthority, csr, id),
  );

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const isControl = request.url === CONTROL_PREFIX || request.url?.startsWith(`${CONTROL_PREFIX}/`);
    void (isControl ? handleControl : handleRequest)(service, request, response);
  };
  const plain = createHttpServer(handle);
  const certificate = await issueServerCertificate(authority, ['localhost', '127.0.0.1', '::1', host]);
  // Node loses the client's intermediate certificates when a TLS session is resumed, so there are no sessions.
  const noSessions = { secureOptions: constants.SSL_OP_NO_TICKET };
  const secure = createHttpsServer(
    { ...certificate, ...noSessions, requestCert: true, rejectUnauthorized: false },
    handle,
  );
  // Longer than clients keep idle connections, so that they never send on one that is just being closed.
  for (const server of [plain, secure]) server.keepAliveTimeout = KEEP_ALIVE_MS;
  const close = async () => {
    await Promise.all([stop(plain), stop(secure)]);
    await journal?.close();
  };
  try {
    const port = await listen(plain, options.port ?? 0, host);
    const tlsPort = await listen(secure, options.tlsPort ?? 0, host);
    hosts.push(
      'localhost',
      '127.0.0.1',
      host,
      ...[port, tlsPort].flatMap((p) => [`localhost:${p}`, `127.0.0.1:${p}`, `${host}:${p}`]),
    );
    return {
      endpoint: `http://127.0.0.1:${port}`,
      tlsEndpoint: `https://localhost:${tlsPort}`,
      deviceEndpoint: `https://localhost:${tlsPort}`,
      connectionString: [
        `HostName=127.0.0.1:${port}`,
        `SharedAccessKeyName=${DEVELOPMENT_POLICY.keyName}`,
        `SharedAccessKey=${DEVELOPMENT_POLICY.primaryKey}`,
        'UseDevelopmentEmulator=true',
      ].join(';'),
      idScope: ID_SCOPE,
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
  { quota }: DpsEmulatorOptions,
  now: () => number,
  hosts: readonly string[],
  issueCertificate: (csr: string, registrationId: string) => Promise<string[]>,
): Service {
  const shared = {
    state,
    idScope: ID_SCOPE,
    now,
    timestamp: createTimestamps(now),
    newEtag: createEtags(now),
  };
  const challenges = new TpmChallenges(state);
  return {
    ...shared,
    challenges,
    authorization: new ServiceAuthorization(state, now, () => hosts),
    quota: new Quota(quota ?? {}, now),
    faults: new Faults(),
    log: new RequestLog(),
    registrations: new Registrations({ ...shared, challenges, issueCertificate }),
  };
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
