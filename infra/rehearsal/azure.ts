import path from 'node:path';
import { type AzureCli, AzureCliError } from './azure-cli.ts';
import { type Finding, note, ok, unknown, wrong } from './finding.ts';
import type { Values } from './parameters.ts';

/** A resource that the deployment would make. */
export interface Planned {
  readonly id: string;
  readonly type: string;
  readonly name: string;
}

export interface Rehearsal {
  readonly az: AzureCli;
  readonly subscriptionId: string;
  readonly values: Values;
  readonly planned: readonly Planned[];
  /** Enrollment groups that profiles name. */
  readonly groups: readonly string[];
}

/** Where a name can be asked for, which is one over all of Azure. */
const nameChecks: Readonly<Record<string, { path: string; version: string; type?: string }>> = {
  'Microsoft.Storage/storageAccounts': {
    path: 'Microsoft.Storage/checkNameAvailability',
    version: '2023-05-01',
    type: 'Microsoft.Storage/storageAccounts',
  },
  'Microsoft.ServiceBus/namespaces': {
    path: 'Microsoft.ServiceBus/CheckNameAvailability',
    version: '2021-11-01',
  },
  'Microsoft.KeyVault/vaults': {
    path: 'Microsoft.KeyVault/checkNameAvailability',
    version: '2023-07-01',
    type: 'Microsoft.KeyVault/vaults',
  },
  'Microsoft.Web/sites': {
    path: 'Microsoft.Web/checknameavailability',
    version: '2024-04-01',
    type: 'Microsoft.Web/sites',
  },
  'Microsoft.Devices/provisioningServices': {
    path: 'Microsoft.Devices/checkProvisioningServiceNameAvailability',
    version: '2022-12-12',
  },
  'Microsoft.Devices/IotHubs': { path: 'Microsoft.Devices/checkNameAvailability', version: '2023-06-30' },
};

const mostDpsInstances = 10;
const dpsAudience = 'https://azure-devices-provisioning.net';

/** All that Azure can be asked before. Each question that it does not answer is a finding of its own. */
export async function askAzure(rehearsal: Rehearsal): Promise<Finding[]> {
  const questions: [what: string, ask: (rehearsal: Rehearsal) => Promise<Finding[]>][] = [
    ['resource providers and regions', checkProviders],
    ['names', checkNames],
    ['quotas', checkQuotas],
    ['rights on the subscription', checkRights],
    ['what is brought along', checkBroughtAlong],
    ['enrollment groups', checkGroups],
  ];
  const findings = questions.map(([what, ask]) =>
    ask(rehearsal).catch((error: unknown) => {
      if (!(error instanceof AzureCliError)) {
        throw error;
      }
      return [unknown(`${what}: ${error.message}`)];
    }),
  );
  return (await Promise.all(findings)).flat();
}

async function checkProviders({ az, values, planned }: Rehearsal): Promise<Finding[]> {
  const location = String(values.location);
  const types = new Set(planned.map(({ type }) => type.split('/').slice(0, 2).join('/').toLowerCase()));
  const namespaces = new Set(planned.map(({ type }) => type.split('/')[0] ?? ''));
  if (values.networkIsolation === true) {
    namespaces.add('Microsoft.App');
  }
  const asked = [...namespaces].filter((each) => each !== 'Microsoft.Resources').sort();
  const findings = (
    await Promise.all(asked.map((namespace) => providerFindings(az, namespace, types, location)))
  ).flat();
  const flex = (await az.json('functionapp', 'list-flexconsumption-locations')) as { name: string }[];
  if (!flex.some(({ name }) => placeOf(name) === location)) {
    findings.push(wrong(`Flex Consumption is not to be had in ${location}`));
  }
  return findings.length > 0 ? findings : [ok(`everything is to be had in ${location}`)];
}

async function providerFindings(
  az: AzureCli,
  namespace: string,
  types: ReadonlySet<string>,
  location: string,
): Promise<Finding[]> {
  const { registrationState, resourceTypes } = (await az.json(
    'provider',
    'show',
    '--namespace',
    namespace,
  )) as {
    registrationState: string;
    resourceTypes: { resourceType: string; locations: string[] }[];
  };
  const registration =
    registrationState === 'Registered'
      ? []
      : [
          (namespace === 'Microsoft.App' ? wrong : note)(
            `${namespace} is not registered in this subscription: az provider register --namespace ${namespace} --wait`,
          ),
        ];
  const elsewhere = resourceTypes.filter(({ resourceType, locations }) => {
    const places = locations.map(placeOf);
    const isPlanned = types.has(`${namespace}/${resourceType}`.toLowerCase());
    return isPlanned && places.length > 0 && !places.includes('global') && !places.includes(location);
  });
  return [
    ...registration,
    ...elsewhere.map(({ resourceType }) =>
      wrong(`${namespace}/${resourceType} is not to be had in ${location}`),
    ),
  ];
}

/** `West Europe` and `westeurope` are the same. */
function placeOf(location: string): string {
  return location.toLowerCase().replaceAll(' ', '');
}

async function checkNames({ az, subscriptionId, planned }: Rehearsal): Promise<Finding[]> {
  const taken = planned.map(async ({ id, type, name }): Promise<Finding[]> => {
    const check = nameChecks[type];
    if (check === undefined || (await exists(az, id))) {
      return [];
    }
    const url = `/subscriptions/${subscriptionId}/providers/${check.path}?api-version=${check.version}`;
    const answer = (await az.rest(url, { name, ...(check.type && { type: check.type }) })) as {
      nameAvailable: boolean;
      message?: string | null;
    };
    if (answer.nameAvailable) {
      return [];
    }
    return [wrong(`the name ${name} (${type}) is not to be had: ${answer.message ?? 'it is taken'}`)];
  });
  const findings = (await Promise.all(taken)).flat();
  return findings.length > 0 ? findings : [ok('all names are free, or are those of this environment')];
}

/** Of the deployment before: then its names are taken rightly. */
async function exists(az: AzureCli, id: string): Promise<boolean> {
  try {
    await az.json('resource', 'show', '--ids', id);
    return true;
  } catch {
    return false;
  }
}

async function checkQuotas({ az, subscriptionId, planned, values }: Rehearsal): Promise<Finding[]> {
  const listOf = async (type: string, version: string) =>
    (
      (await az.rest(`/subscriptions/${subscriptionId}/providers/${type}?api-version=${version}`)) as {
        value: { id: string; sku?: { name?: string } }[];
      }
    ).value;
  const isPlanned = (id: string) => planned.some((each) => each.id.toLowerCase() === id.toLowerCase());
  const findings: Finding[] = [];
  if (planned.some(({ type }) => type === 'Microsoft.Devices/provisioningServices')) {
    const others = (await listOf('Microsoft.Devices/provisioningServices', '2022-12-12')).filter(
      ({ id }) => !isPlanned(id),
    );
    if (others.length >= mostDpsInstances) {
      findings.push(
        wrong(`the subscription has ${others.length} DPS instances already, of ${mostDpsInstances}`),
      );
    }
  }
  if (
    (values.newIotHubs as { sku?: string }[]).some(({ sku }) => sku === 'F1') &&
    values.existingDpsId === ''
  ) {
    const free = (await listOf('Microsoft.Devices/IotHubs', '2023-06-30')).filter(
      ({ id, sku }) => sku?.name === 'F1' && !isPlanned(id),
    );
    if (free.length > 0) {
      findings.push(wrong('the subscription has its one free (F1) IoT hub already'));
    }
  }
  return findings.length > 0 ? findings : [ok('quotas of DPS instances and free hubs')];
}

const onSubscription = [
  'Microsoft.Resources/subscriptions/resourceGroups/write',
  'Microsoft.Resources/deployments/write',
  'Microsoft.Authorization/roleAssignments/write',
  'Microsoft.Web/sites/write',
  'Microsoft.Devices/provisioningServices/write',
  'Microsoft.ServiceBus/namespaces/write',
  'Microsoft.Insights/diagnosticSettings/write',
];

async function checkRights({ az, subscriptionId }: Rehearsal): Promise<Finding[]> {
  return checkActions(az, `/subscriptions/${subscriptionId}`, 'the subscription', onSubscription);
}

async function checkBroughtAlong({ az, values }: Rehearsal): Promise<Finding[]> {
  const rolesAndLogs = [
    'Microsoft.Authorization/roleAssignments/write',
    'Microsoft.Insights/diagnosticSettings/write',
  ];
  const hubs = values.existingDpsId === '' ? (values.existingIotHubs as { resourceId: string }[]) : [];
  const brought: [id: unknown, actions: string[]][] = [
    [values.existingDpsId, rolesAndLogs],
    [values.existingServiceBusId, [...rolesAndLogs, 'Microsoft.ServiceBus/namespaces/queues/write']],
    [values.existingWorkspaceId, ['Microsoft.OperationalInsights/workspaces/sharedKeys/action']],
    ...hubs.map(({ resourceId }): [unknown, string[]] => [
      resourceId,
      ['Microsoft.Devices/iotHubs/iotHubKeys/listkeys/action'],
    ]),
  ];
  const findings: Finding[] = [];
  for (const [id, actions] of brought) {
    if (typeof id !== 'string' || id === '') {
      continue;
    }
    const name = path.posix.basename(id);
    if (!(await exists(az, id))) {
      findings.push(wrong(`${id} is not there, or may not be seen`));
    } else {
      findings.push(...(await checkActions(az, id, name, actions)));
    }
  }
  return findings;
}

interface Permission {
  readonly actions?: readonly string[];
  readonly notActions?: readonly string[];
}

async function checkActions(
  az: AzureCli,
  scope: string,
  name: string,
  needed: readonly string[],
): Promise<Finding[]> {
  const url = `${scope}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`;
  const { value } = (await az.rest(url)) as { value: Permission[] };
  const missing = needed.filter((action) => !value.some((permission) => permits(permission, action)));
  if (missing.length === 0) {
    return [ok(`rights on ${name}`)];
  }
  return missing.map((action) => wrong(`you may not do ${action} on ${name}`));
}

function permits({ actions = [], notActions = [] }: Permission, action: string): boolean {
  const fits = (pattern: string) =>
    new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`, 'i').test(action);
  return actions.some(fits) && !notActions.some(fits);
}

async function checkGroups({ az, values, groups }: Rehearsal): Promise<Finding[]> {
  if (groups.length === 0 || values.existingDpsId === '') {
    return [];
  }
  const host = `${path.posix.basename(String(values.existingDpsId))}.azure-devices-provisioning.net`;
  const findings: Finding[] = [];
  for (const group of groups) {
    const url = `https://${host}/enrollmentGroups/${encodeURIComponent(group)}?api-version=2021-10-01`;
    try {
      await az.rest(url, undefined, dpsAudience);
      findings.push(ok(`the enrollment group ${group} is in ${host}`));
    } catch (error) {
      if (!/not ?found|404/i.test(String(error))) {
        throw error;
      }
      findings.push(wrong(`profiles name the enrollment group ${group}, which ${host} does not have`));
    }
  }
  return findings;
}
