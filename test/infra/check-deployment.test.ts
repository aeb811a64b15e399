import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { askAzure } from '../../infra/rehearsal/azure.ts';
import { AzureCli } from '../../infra/rehearsal/azure-cli.ts';
import type { Finding } from '../../infra/rehearsal/finding.ts';
import { checkProfiles, checkSenders } from '../../infra/rehearsal/packaged-files.ts';
import { deployments, describeBicep, infra, subscription } from '../support/bicep.ts';

const script = path.join(infra, 'check-deployment.ts');
const tenant = '00000000-0000-4000-8000-000000000002';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rehearsal-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly exitCode: number;
  readonly lines: string[];
}

function rehearse(environment: Record<string, string>, ...flags: string[]): Promise<Run> {
  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH, HOME, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...flags], { env, cwd: folder }, (error, stdout, stderr) => {
      const lines = `${stdout}${stderr}`.split('\n').filter(Boolean);
      resolve({ exitCode: Number(error?.code ?? 0), lines });
    });
  });
}

const wrongLines = ({ lines }: Run) => lines.flatMap((line) => /^wrong +(.*)$/.exec(line)?.[1] ?? []);
const wrongOf = (findings: readonly Finding[]) =>
  findings.flatMap(({ verdict, what }) => (verdict === 'wrong' ? [what] : []));

/** As the parameter file gives them where nothing is set. */
const values = {
  location: 'westeurope',
  networkIsolation: false,
  existingDpsId: '',
  existingServiceBusId: '',
  existingWorkspaceId: '',
  newIotHubs: [{}],
  existingIotHubs: [],
  webhookSenders: [],
  enrollmentProfilesFile: '',
  sendersFile: '',
};

function writeJson(name: string, value: unknown): string {
  const file = path.join(folder, name);
  writeFileSync(file, JSON.stringify(value));
  return file;
}

type Answers = readonly (readonly [call: string, answer: unknown])[];

/** An `az` that knows these answers, by how its parameters begin or what they contain; the first that fits is given. */
function azureThatSays(answers: Answers): string {
  const bin = mkdtempSync(path.join(folder, 'bin-'));
  const file = path.join(bin, 'answers.json');
  writeFileSync(file, JSON.stringify(answers));
  const az = path.join(bin, 'az');
  writeFileSync(
    az,
    `#!${process.execPath}
const call = process.argv.slice(2).join(' ');
const answers = JSON.parse(require('fs').readFileSync(${JSON.stringify(file)}, 'utf8'));
const answer = answers.find(([part]) => call.includes(part))?.[1] ?? { error: 'ERROR: no answer to ' + call };
if (answer.error) { console.error(answer.error); process.exit(1); }
console.log(JSON.stringify(answer));
`,
  );
  chmodSync(az, 0o755);
  return az;
}

const provider = (registrationState: string, locations: string[] = []) => ({
  registrationState,
  resourceTypes: [{ resourceType: 'ProvisioningServices', locations }],
});

/** Everything is there and allowed, and nothing is deployed yet. */
const willing: Answers = [
  [
    'account show',
    { id: path.basename(subscription), tenantId: tenant, user: { name: 'somebody@contoso.com' } },
  ],
  ['provider show', provider('Registered', ['West Europe', 'North Europe'])],
  ['functionapp list-flexconsumption-locations', [{ name: 'West Europe' }, { name: 'northeurope' }]],
  ['resource show', { error: 'ERROR: (ResourceNotFound)' }],
  ['NameAvailability', { nameAvailable: true }],
  ['nameavailability', { nameAvailable: true }],
  ['Microsoft.Authorization/permissions', { value: [{ actions: ['*'], notActions: [] }] }],
  ['Microsoft.Devices/provisioningServices?', { value: [] }],
  ['Microsoft.Devices/IotHubs?', { value: [] }],
];

describeBicep('npm run check:deployment', () => {
  const evaluated = deployments('plain');
  const ask = (answers: Answers, more: object = {}, groups: string[] = []) =>
    askAzure({
      az: new AzureCli(azureThatSays(answers)),
      subscriptionId: path.basename(subscription),
      values: { ...values, ...more },
      planned: evaluated.plain.resources,
      groups,
    });

  it('offline says what it looked at, and what it could not', async () => {
    const run = await rehearse({}, '--offline');
    expect(run.exitCode).toBe(0);
    expect(run.lines).toContainEqual(expect.stringMatching(/^ok +parameters of .*main\.bicepparam$/));
    expect(run.lines).toContain('ok       src/enrollment-profiles.json: 5 profiles');
    expect(run.lines.at(-1)).toMatch(/^unknown +names that are taken, regions, quotas, rights/);
  });

  it('says all that Azure would refuse of the parameters, not only the first', async () => {
    const run = await rehearse(
      {
        AZURE_LOCATION: 'atlantis',
        RESOURCE_NAMES: JSON.stringify({ keyVault: 'k'.repeat(25), storage: 'misspelt' }),
        NEW_IOT_HUBS: JSON.stringify([{ units: 0 }]),
        OLDEST_MESSAGE_MINUTES: '7',
      },
      '--offline',
    );
    expect(run.exitCode).toBe(1);
    const problems = wrongLines(run).join('\n');
    expect(problems).toMatch(/^main\.bicepparam, line \d+: .*'westeurope'.*"'atlantis'"/m);
    expect(problems).toMatch(/length .* 25\) is too long .* 24\.$/m);
    expect(problems).toMatch(/The property "storage" is not allowed/);
    expect(problems).toMatch(/minimum allowable value is 1\.$/m);
    expect(problems).toMatch(/Expected a value of type "15 \| 30 .*"7"/);
    expect(run.lines.at(-1)).toBe('unknown  all else, until the parameters are right');
  });

  it('says everything that is wrong with profiles and senders', () => {
    const profile = (product: string, more: object) => ({ product, enrollment: 'individual', ...more });
    const given = {
      ...values,
      enrollmentProfilesFile: writeJson('profiles.json', {
        profiles: [
          profile('a', {
            allocationPolicy: 'static',
            iotHubs: ['iot-a.azure-devices.net', 'iot-b.azure-devices.net'],
          }),
          profile('b', { iotHubs: ['iot-elsewhere.azure-devices.net', 'iot-a.example.com'] }),
          profile('c', {
            allocationPolicy: 'custom',
            customAllocationDefinition: { webhookUrl: 'http://contoso.com', apiVersion: '2021-10-01' },
          }),
          { product: 'd', enrollment: 'group', enrollmentGroup: 'sensors-brno' },
        ],
      }),
      sendersFile: writeJson('senders.json', {
        erp: { sources: ['*'], types: ['device.*'], products: ['*'] },
      }),
      webhookSenders: [{ sender: 'mes' }],
      newIotHubs: [{ name: 'iot-a' }, { name: 'iot-b' }],
    };
    const { findings, groups } = checkProfiles(given);
    const problems = wrongOf([...findings, ...checkSenders(given)]).join('\n');
    expect(problems).toMatch(/: a: the policy static takes one hub, and iotHubs has 2$/m);
    expect(problems).toMatch(/: b: iot-elsewhere\.azure-devices\.net is not linked to DPS/m);
    expect(problems).toMatch(/: b: iot-a\.example\.com is no host name of an IoT hub/m);
    expect(problems).toMatch(/: c: DPS calls custom allocation webhooks over https only$/m);
    expect(problems).toMatch(/^webhookSenders names mes, which .*senders\.json does not/m);
    expect(groups).toEqual(['sensors-brno']);
    expect(findings).toContainEqual({
      verdict: 'note',
      what: expect.stringMatching(/the group sensors-brno has to be made in the new DPS instance/),
    });
    const broken = writeJson('broken.json', {
      profiles: [profile('a', { allocationPolicy: 'custom' }), profile('a', { enrollmentGroup: 'x' })],
    });
    expect(wrongOf(checkProfiles({ ...values, enrollmentProfilesFile: broken }).findings)).toHaveLength(3);
  });

  it('finds nothing where Azure has everything, and the person may do everything', async () => {
    const azure = path.dirname(azureThatSays(willing));
    const run = await rehearse({ PATH: `${azure}:${process.env.PATH}` });
    expect(wrongLines(run)).toEqual([]);
    expect(run.lines.filter((line) => line.startsWith('unknown'))).toEqual([]);
    expect(run.lines).toContainEqual(expect.stringMatching(/^ok +signed in as somebody@contoso\.com/));
    expect(run.exitCode).toBe(0);
  });

  it('asks Azure for names, regions, quotas, rights and providers', async () => {
    const findings = await ask(
      [
        ['provider show --namespace Microsoft.App', provider('NotRegistered')],
        ['provider show --namespace Microsoft.Devices', provider('Registered', ['East US'])],
        ['checkProvisioningServiceNameAvailability', { nameAvailable: false, message: 'It is taken.' }],
        [
          'Microsoft.Authorization/permissions',
          { value: [{ actions: ['*'], notActions: ['Microsoft.Authorization/*/Write'] }] },
        ],
        [
          'Microsoft.Devices/provisioningServices?',
          { value: Array.from({ length: 10 }, (_, i) => ({ id: `/${i}` })) },
        ],
        ['Microsoft.Devices/IotHubs?', { value: [{ id: '/hub', sku: { name: 'F1' } }] }],
        ...willing,
      ],
      { networkIsolation: true, newIotHubs: [{ sku: 'F1' }] },
    );
    const dps = evaluated.plain.resources.find(
      ({ type }) => type === 'Microsoft.Devices/provisioningServices',
    );
    expect(wrongOf(findings)).toEqual([
      'Microsoft.App is not registered in this subscription: az provider register --namespace Microsoft.App --wait',
      'Microsoft.Devices/ProvisioningServices is not to be had in westeurope',
      `the name ${dps?.name} (Microsoft.Devices/provisioningServices) is not to be had: It is taken.`,
      'the subscription has 10 DPS instances already, of 10',
      'the subscription has its one free (F1) IoT hub already',
      'you may not do Microsoft.Authorization/roleAssignments/write on the subscription',
    ]);
  });

  it('looks at what is brought along: whether it is there, what may be done, and the groups that profiles name', async () => {
    const dps = `${subscription}/resourceGroups/rg-iot/providers/Microsoft.Devices/provisioningServices/dps-contoso`;
    const bus = `${subscription}/resourceGroups/rg-bus/providers/Microsoft.ServiceBus/namespaces/sb-contoso`;
    const findings = await ask(
      [
        [`resource show --ids ${dps}`, { id: dps }],
        [`${dps}/providers/Microsoft.Authorization/permissions`, { value: [{ actions: ['*/read'] }] }],
        ['enrollmentGroups/sensors-brno', { error: 'ERROR: Not Found({"errorCode":404201})' }],
        ...willing,
      ],
      { existingDpsId: dps, existingServiceBusId: bus },
      ['sensors-brno'],
    );
    expect(wrongOf(findings)).toEqual([
      'you may not do Microsoft.Authorization/roleAssignments/write on dps-contoso',
      'you may not do Microsoft.Insights/diagnosticSettings/write on dps-contoso',
      `${bus} is not there, or may not be seen`,
      'profiles name the enrollment group sensors-brno, which dps-contoso.azure-devices-provisioning.net does not have',
    ]);
  });

  it('says what Azure would not answer, and goes on', async () => {
    const findings = await ask([
      ['permissions', { error: 'ERROR: (AuthorizationFailed) The client has no permission.' }],
      ...willing,
    ]);
    expect(wrongOf(findings)).toEqual([]);
    expect(findings).toContainEqual({
      verdict: 'unknown',
      what: 'rights on the subscription: ERROR: (AuthorizationFailed) The client has no permission.',
    });
  });
});
