import { existsSync } from 'node:fs';

import {
  isWebhookSecretsSetting,
  readWebhookSecrets,
  type WebhookSecrets,
  webhookSecretsRule,
} from './events/webhook-secrets.ts';
import {
  type HubConnection,
  hubConnectionStringsRule,
  readHubConnectionStrings,
} from './hub/hub-connection-strings.ts';
import { scheduleProblem } from './tools/ncrontab.ts';

/** A setting is missing or malformed. The message is one line that names it and says what it should be. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

export type ServiceAccess =
  | { readonly connectionString: string }
  | { readonly identity: { readonly endpoint: string; readonly clientId: string | undefined } };

/** What devices need to know of DPS, and whether their keys can be fetched here. */
export interface CredentialsSettings {
  readonly areServed: boolean;
  readonly perMinute: number;
  /** No API of the service data plane tells it. */
  readonly idScope: string | undefined;
  /** The host that devices connect to. */
  readonly globalEndpoint: string;
}

/** How the hubs are told what is kept out. */
export interface HubSettings {
  /** Of each hub: 100 for a unit of S1 or S2, 5,000 for one of S3. */
  readonly operationsPerMinute: number;
  /** Of hubs that are not spoken to with Microsoft Entra ID. */
  readonly connections: readonly HubConnection[];
}

export interface Settings {
  readonly dps: ServiceAccess;
  readonly operationsPerMinute: number;
  readonly serviceBus: ServiceAccess;
  readonly tables: ServiceAccess;
  /** Where people reach the app; empty where nobody says: addresses in events are then paths. */
  readonly publicAddress: string;
  readonly signIn: { readonly signIn: 'none' | 'entra'; readonly platformChecks: boolean };
  readonly credentials: CredentialsSettings;
  /** Undefined: the hubs are left alone. */
  readonly hubs: HubSettings | undefined;
  readonly auditSchedule: string;
  /** 0 to 1. */
  readonly auditQuotaShare: number;
  readonly eventRetentionDays: number;
  readonly enrollmentProfilesFile: string | undefined;
  readonly sendersFile: string | undefined;
  /** By the names of their settings. */
  readonly webhookSecrets: WebhookSecrets;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads all settings at once; the first that is wrong stops the start. */
export function readSettings(environment: Environment): Settings {
  const clientId = text(environment, 'AZURE_CLIENT_ID');
  return {
    dps: dpsAccess(environment, clientId),
    operationsPerMinute: number(
      environment,
      'DPS_OPERATIONS_PER_MINUTE',
      1_000,
      (value) => Number.isSafeInteger(value) && value >= 1,
      'a whole number, 1 or more',
    ),
    serviceBus: serviceBusAccess(environment, clientId),
    tables: tableAccess(environment, clientId),
    publicAddress: publicAddress(environment),
    signIn: signIn(environment),
    credentials: credentials(environment),
    hubs: hubs(environment),
    auditSchedule: schedule(environment),
    auditQuotaShare: number(
      environment,
      'AUDIT_QUOTA_SHARE',
      0.3,
      (value) => value > 0 && value < 1,
      'a number between 0 and 1, such as 0.3',
    ),
    eventRetentionDays: number(
      environment,
      'EVENT_RETENTION_DAYS',
      400,
      (value) => Number.isSafeInteger(value) && value >= 1,
      'a whole number of days, 1 or more',
    ),
    enrollmentProfilesFile: file(environment, 'ENROLLMENT_PROFILES'),
    sendersFile: file(environment, 'SENDERS'),
    webhookSecrets: webhookSecrets(environment),
  };
}

function dpsAccess(environment: Environment, clientId: string | undefined): ServiceAccess {
  const connectionString = text(environment, 'DPS_CONNECTION_STRING');
  const endpoint = text(environment, 'DPS_ENDPOINT');
  if (endpoint !== undefined) {
    if (!/^https:\/\/[^/\s]+\/?$/.test(endpoint)) {
      throw new SettingsError('DPS_ENDPOINT must be like https://NAME.azure-devices-provisioning.net.');
    }
    return { identity: { endpoint, clientId } };
  }
  if (connectionString === undefined) {
    throw new SettingsError(
      'DPS_ENDPOINT is missing: set it to https://NAME.azure-devices-provisioning.net, or DPS_CONNECTION_STRING to HostName=…;SharedAccessKeyName=…;SharedAccessKey=….',
    );
  }
  for (const part of ['HostName', 'SharedAccessKeyName', 'SharedAccessKey']) {
    if (!new RegExp(`(?:^|;)\\s*${part}=[^;]`, 'i').test(connectionString)) {
      throw new SettingsError(
        `DPS_CONNECTION_STRING lacks ${part}: it must be HostName=…;SharedAccessKeyName=…;SharedAccessKey=….`,
      );
    }
  }
  return { connectionString };
}

function serviceBusAccess(environment: Environment, clientId: string | undefined): ServiceAccess {
  const connectionString = text(environment, 'ServiceBusConnection');
  if (connectionString !== undefined) {
    if (!/(?:^|;)Endpoint=sb:\/\//i.test(connectionString)) {
      throw new SettingsError('ServiceBusConnection must begin with Endpoint=sb://….');
    }
    if (/(?:^|;)\s*EntityPath\s*=/i.test(connectionString)) {
      throw new SettingsError(
        'ServiceBusConnection has an EntityPath: the app uses several queues and a topic, so take the connection string of the namespace, or leave EntityPath out.',
      );
    }
    return { connectionString };
  }
  const endpoint = text(environment, 'ServiceBusConnection__fullyQualifiedNamespace');
  if (endpoint === undefined) {
    throw new SettingsError(
      'ServiceBusConnection__fullyQualifiedNamespace is missing: set it to NAME.servicebus.windows.net, or ServiceBusConnection to a connection string.',
    );
  }
  return {
    identity: { endpoint, clientId: text(environment, 'ServiceBusConnection__clientId') ?? clientId },
  };
}

function tableAccess(environment: Environment, clientId: string | undefined): ServiceAccess {
  for (const name of ['TableStorage', 'AzureWebJobsStorage']) {
    const connectionString = text(environment, name);
    if (connectionString !== undefined) {
      const usable = /(?:^|;)(?:AccountName|TableEndpoint|UseDevelopmentStorage)=/i.test(connectionString);
      if (!usable) {
        throw new SettingsError(`${name} must be a storage connection string.`);
      }
      return { connectionString };
    }
    const endpoint = text(environment, `${name}__tableServiceUri`) ?? accountEndpoint(environment, name);
    if (endpoint !== undefined) {
      return { identity: { endpoint, clientId: text(environment, `${name}__clientId`) ?? clientId } };
    }
  }
  throw new SettingsError(
    'TableStorage__tableServiceUri is missing: set it to https://NAME.table.core.windows.net, or TableStorage to a storage connection string.',
  );
}

/** App Service authentication says that it checks who signs in; nobody else is believed. */
function signIn(environment: Environment): Settings['signIn'] {
  const value = text(environment, 'SIGN_IN') ?? 'none';
  if (value !== 'none' && value !== 'entra') {
    throw new SettingsError(`SIGN_IN must be none or entra; it is "${value}".`);
  }
  return {
    signIn: value,
    platformChecks: /^(true|1)$/i.test(text(environment, 'WEBSITE_AUTH_ENABLED') ?? ''),
  };
}

function credentials(environment: Environment): CredentialsSettings {
  const value = text(environment, 'CREDENTIALS') ?? 'off';
  if (value !== 'on' && value !== 'off') {
    throw new SettingsError(`CREDENTIALS must be on or off; it is "${value}".`);
  }
  const idScope = text(environment, 'DPS_ID_SCOPE');
  if (idScope !== undefined && !/^[0-9A-Za-z]{1,64}$/.test(idScope)) {
    throw new SettingsError('DPS_ID_SCOPE must be the ID scope of the DPS instance, such as 0ne00000000.');
  }
  if (value === 'on' && idScope === undefined) {
    throw new SettingsError(
      'DPS_ID_SCOPE is missing: with CREDENTIALS=on it must be the ID scope of the DPS instance, such as 0ne00000000.',
    );
  }
  const globalEndpoint = text(environment, 'DPS_GLOBAL_ENDPOINT') ?? 'global.azure-devices-provisioning.net';
  if (!/^[0-9A-Za-z.-]+(:\d{1,5})?$/.test(globalEndpoint)) {
    throw new SettingsError(
      'DPS_GLOBAL_ENDPOINT must be a host name, such as global.azure-devices-provisioning.net.',
    );
  }
  const perMinute = number(
    environment,
    'CREDENTIALS_PER_MINUTE',
    60,
    (limit) => Number.isSafeInteger(limit) && limit >= 1,
    'a whole number, 1 or more',
  );
  return { areServed: value === 'on', perMinute, idScope, globalEndpoint };
}

function hubs(environment: Environment): HubSettings | undefined {
  const value = text(environment, 'HUB_ACCESS') ?? 'open';
  if (value !== 'open' && value !== 'close') {
    throw new SettingsError(`HUB_ACCESS must be open or close; it is "${value}".`);
  }
  const operationsPerMinute = number(
    environment,
    'HUB_OPERATIONS_PER_MINUTE',
    100,
    (limit) => Number.isSafeInteger(limit) && limit >= 1,
    'a whole number, 1 or more: what each hub takes of registry operations in a minute',
  );
  const strings = text(environment, 'HUB_CONNECTION_STRINGS');
  const connections = strings === undefined ? [] : readHubConnectionStrings(strings);
  if (!connections) {
    throw new SettingsError(`HUB_CONNECTION_STRINGS must be ${hubConnectionStringsRule}.`);
  }
  return value === 'close' ? { operationsPerMinute, connections } : undefined;
}

/** App Service names the app's host. */
function publicAddress(environment: Environment): string {
  const host = text(environment, 'WEBSITE_HOSTNAME');
  return host === undefined ? '' : `${/^(localhost|127\.)/.test(host) ? 'http' : 'https'}://${host}`;
}

function accountEndpoint(environment: Environment, name: string): string | undefined {
  const account = text(environment, `${name}__accountName`);
  return account === undefined ? undefined : `https://${account}.table.core.windows.net`;
}

function schedule(environment: Environment): string {
  const value = text(environment, 'AUDIT_SCHEDULE') ?? '0 0 4 * * *';
  const problem = scheduleProblem(value);
  if (problem === undefined) {
    return value;
  }
  throw new SettingsError(
    `AUDIT_SCHEDULE must be NCRONTAB with six fields, such as "0 0 4 * * *"; it is "${value.slice(0, 100)}", ${problem}.`,
  );
}

function webhookSecrets(environment: Environment): WebhookSecrets {
  const secrets = new Map<string, readonly Uint8Array[]>();
  for (const name of Object.keys(environment).filter(isWebhookSecretsSetting)) {
    const value = text(environment, name);
    // App Service leaves the reference where the vault has no such secret, or none yet: its sender cannot send, all else goes on.
    if (value === undefined || value.startsWith('@Microsoft.KeyVault(')) {
      continue;
    }
    const keys = readWebhookSecrets(value);
    if (!keys) {
      throw new SettingsError(`${name} must be ${webhookSecretsRule}.`);
    }
    secrets.set(name, keys);
  }
  return secrets;
}

function number(
  environment: Environment,
  name: string,
  byDefault: number,
  fits: (value: number) => boolean,
  should: string,
): number {
  const value = text(environment, name);
  if (value === undefined) {
    return byDefault;
  }
  const parsed = Number(value);
  if (fits(parsed)) {
    return parsed;
  }
  throw new SettingsError(`${name} must be ${should}; it is "${value}".`);
}

function file(environment: Environment, name: string): string | undefined {
  const value = text(environment, name);
  if (value !== undefined && !existsSync(value)) {
    throw new SettingsError(`${name} names the file ${value}, which does not exist.`);
  }
  return value;
}

function text(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === '' ? undefined : value;
}
