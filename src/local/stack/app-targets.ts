import { webhookSecretsSetting } from '../../events/webhook-secrets.ts';
import { type AppTargets, type Endpoints, settingsFor } from './endpoints.ts';

interface Target {
  readonly host: string;
  readonly setting: string;
}

/** The forms of each service's settings, in the order in which the app looks for them. */
const forms: Readonly<
  Record<keyof AppTargets, readonly [setting: string, hostOf: (value: string) => string][]>
> = {
  dps: [
    ['DPS_ENDPOINT', hostOfUrl],
    ['DPS_CONNECTION_STRING', (value) => part(value, 'HostName')],
  ],
  serviceBus: [
    ['ServiceBusConnection', (value) => hostOfUrl(part(value, 'Endpoint'))],
    ['ServiceBusConnection__fullyQualifiedNamespace', (value) => value],
  ],
  tables: ['TableStorage', 'AzureWebJobsStorage'].flatMap((name) => [
    [name, hostOfStorage],
    [`${name}__tableServiceUri`, hostOfUrl],
    [`${name}__accountName`, (value: string) => `${value}.table.core.windows.net`],
  ]),
};

/** What the app uses with this environment, whose settings win over the stack's. */
export function appTargets(endpoints: Endpoints, environment: NodeJS.ProcessEnv): AppTargets {
  const own = settingsFor(endpoints);
  const hostOf = (service: keyof AppTargets) =>
    (target(service, environment) ?? target(service, own))?.host ?? 'unknown';
  return { dps: hostOf('dps'), serviceBus: hostOf('serviceBus'), tables: hostOf('tables') };
}

/** A service that the environment names, so that the app does not use the stack's. */
export function namedElsewhere(
  service: keyof AppTargets,
  environment: NodeJS.ProcessEnv,
): Target | undefined {
  return target(service, environment);
}

/** The senders whose secrets the environment has: the app does not know the stack's. */
export function withoutOtherSecrets(endpoints: Endpoints, environment: NodeJS.ProcessEnv): Endpoints {
  const webhookSecrets = Object.fromEntries(
    Object.entries(endpoints.webhookSecrets).filter(
      ([sender]) => !environment[webhookSecretsSetting(sender)],
    ),
  );
  return { ...endpoints, webhookSecrets };
}

function target(
  service: keyof AppTargets,
  settings: Readonly<Record<string, string | undefined>>,
): Target | undefined {
  for (const [setting, hostOf] of forms[service]) {
    const value = settings[setting]?.trim();
    if (value) {
      return { setting, host: hostOf(value) };
    }
  }
  return undefined;
}

function part(connectionString: string, name: string): string {
  return new RegExp(`(?:^|;)\\s*${name}=([^;]*)`, 'i').exec(connectionString)?.[1] ?? 'unknown';
}

function hostOfUrl(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'unknown';
}

function hostOfStorage(connectionString: string): string {
  if (/(?:^|;)UseDevelopmentStorage=true/i.test(connectionString)) {
    return '127.0.0.1:10002';
  }
  const endpoint = hostOfUrl(part(connectionString, 'TableEndpoint'));
  return endpoint === 'unknown'
    ? `${part(connectionString, 'AccountName')}.table.core.windows.net`
    : endpoint;
}
