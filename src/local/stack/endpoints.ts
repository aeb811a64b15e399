import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { webhookSecretsSetting } from '../../events/webhook-secrets.ts';
import { developmentHubKey } from '../dps/hub/authorization.ts';
import { isRunning } from './owner.ts';

/** Where everything of a local stack answers: the contents of the endpoints file. */
export interface Endpoints {
  /** The process of the stack. */
  readonly pid?: number;
  /** The function app; absent under --no-app. */
  readonly functions?: string;
  readonly dps: {
    readonly endpoint: string;
    readonly tlsEndpoint: string;
    readonly connectionString: string;
    readonly idScope: string;
    readonly deviceEndpoint: string;
    /** `mqtts://localhost:8883` */
    readonly mqttEndpoint: string;
    /** `wss://localhost:7443`, without a path. */
    readonly mqttWebSocketEndpoint: string;
    /** The path of a PEM file. */
    readonly caCertificate: string;
  };
  readonly serviceBus: { readonly connectionString: string };
  readonly tables: { readonly connectionString: string };
  readonly keys: { readonly function: string; readonly master: string };
  /** What the app really uses, which settings of the environment may have named; absent under --no-app. */
  readonly app?: AppTargets;
  /** By sender. */
  readonly webhookSecrets: Readonly<Record<string, string>>;
}

/** What the app talks to: hosts, without keys. */
export interface AppTargets {
  readonly dps: string;
  readonly serviceBus: string;
  readonly tables: string;
}

export const defaultEndpointsFile = '.local/endpoints.json';

export function readEndpoints(file: string): Endpoints {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw error;
    }
    throw new Error(
      `There is no ${file}: start the stack first (npm start), or name its file with --endpoints.`,
    );
  }
  return JSON.parse(text) as Endpoints;
}

/** Whoever sees the file sees it whole. */
export function writeEndpoints(file: string, endpoints: Endpoints): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}.tmp`;
  writeFileSync(unfinished, textOf(endpoints), { mode: 0o600 });
  renameSync(unfinished, file);
}

/**
 * Takes away what a stack that is gone has left behind.
 * @throws Error if the stack that wrote the file runs.
 */
export function takeEndpointsOver(file: string): void {
  const owner = existsSync(file) ? readEndpoints(file).pid : undefined;
  if (owner !== undefined && isRunning(owner)) {
    throw new Error(
      `${file} belongs to the stack of process ${owner}, which runs: stop it, or name another file with --endpoints.`,
    );
  }
  rmSync(file, { force: true });
}

/** Removes the file if it still holds these: another stack may have written its own meanwhile. */
export function removeOwnEndpoints(file: string, endpoints: Endpoints): void {
  try {
    if (readFileSync(file, 'utf8') === textOf(endpoints)) {
      rmSync(file, { force: true });
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw error;
    }
  }
}

function textOf(endpoints: Endpoints): string {
  return `${JSON.stringify(endpoints, undefined, 2)}\n`;
}

/** The app's settings that point it to the stack, and those that its senders sign with. */
export function settingsFor(endpoints: Endpoints): Record<string, string> {
  return {
    DPS_CONNECTION_STRING: endpoints.dps.connectionString,
    DPS_ID_SCOPE: endpoints.dps.idScope,
    DPS_GLOBAL_ENDPOINT: new URL(endpoints.dps.deviceEndpoint).host,
    HUB_CONNECTION_STRINGS: `HostName=*;SharedAccessKeyName=iothubowner;SharedAccessKey=${developmentHubKey};EmulatorEndpoint=${endpoints.dps.endpoint}`,
    ServiceBusConnection: endpoints.serviceBus.connectionString,
    AzureWebJobsStorage: endpoints.tables.connectionString,
    ...Object.fromEntries(
      Object.entries(endpoints.webhookSecrets).map(([sender, secret]) => [
        webhookSecretsSetting(sender),
        secret,
      ]),
    ),
  };
}

/** What says already, in one form or another, where a service is. */
const alternatives: Readonly<Record<string, RegExp>> = {
  DPS_CONNECTION_STRING: /^DPS_(ENDPOINT|CONNECTION_STRING)$/,
  // Another instance has another scope, and its devices connect elsewhere.
  DPS_ID_SCOPE: /^DPS_(ENDPOINT|CONNECTION_STRING)$/,
  DPS_GLOBAL_ENDPOINT: /^DPS_(ENDPOINT|CONNECTION_STRING)$/,
  HUB_CONNECTION_STRINGS: /^DPS_(ENDPOINT|CONNECTION_STRING)$/,
  ServiceBusConnection: /^ServiceBusConnection(__fullyQualifiedNamespace)?$/,
  AzureWebJobsStorage: /^AzureWebJobsStorage(__(accountName|tableServiceUri))?$/,
};

/** The same, without those for which the environment names a service of its own: what is set there wins. */
export function missingSettings(
  endpoints: Endpoints,
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const isSet = (name: string) =>
    Object.keys(environment).some(
      (other) => environment[other] && (other === name || alternatives[name]?.test(other)),
    );
  return Object.fromEntries(Object.entries(settingsFor(endpoints)).filter(([name]) => !isSet(name)));
}
