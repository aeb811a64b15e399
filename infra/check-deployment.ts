/** `npm run check:deployment`: says before `azd up` what can be known before. Writes nothing, here or in Azure. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { commandLine } from '../src/local/stack/command-line.ts';
import { findBicep, howToGetBicep } from './find-bicep.ts';
import { askAzure } from './rehearsal/azure.ts';
import { AzureCli, AzureCliError } from './rehearsal/azure-cli.ts';
import { type Finding, ok, unknown, wrong } from './rehearsal/finding.ts';
import { checkProfiles, checkSenders } from './rehearsal/packaged-files.ts';
import { readParameters, type Values } from './rehearsal/parameters.ts';
import { plannedResources } from './rehearsal/planned.ts';

const usage = `Usage: npm run check:deployment -- [--parameters FILE] [--offline]     what can be known before azd up
  --parameters FILE  a .bicepparam file in infra/ (infra/main.bicepparam, which reads the environment)
  --offline          asks Azure nothing
Looks at parameters, enrollment profiles and senders here, and asks Azure, as who is signed in with az login, for names,
regions, quotas, rights and what is brought along. Writes nothing. Exit code 1 if something is wrong.`;

const infra = import.meta.dirname;

await commandLine(usage, async () => {
  const { values: flags } = parseArgs({
    options: {
      parameters: { type: 'string', default: path.join(infra, 'main.bicepparam') },
      offline: { type: 'boolean', default: false },
    },
  });
  const bicep = await findBicep();
  if (bicep === undefined) {
    throw new Error(howToGetBicep);
  }
  const file = path.resolve(flags.parameters);
  const parameters = await readParameters(bicep, file);
  const findings = parameters.problems
    ? [...parameters.problems.map(wrong), unknown('all else, until the parameters are right')]
    : await allFindings(bicep, file, parameters.values, flags.offline);
  for (const { verdict, what } of findings) {
    console.log(`${verdict.padEnd(8)} ${what}`);
  }
  process.exitCode = findings.some(({ verdict }) => verdict === 'wrong') ? 1 : 0;
});

async function allFindings(
  bicep: string,
  file: string,
  values: Values,
  offline: boolean,
): Promise<Finding[]> {
  const profiles = checkProfiles(values);
  return [
    ok(`parameters of ${path.relative('', file)}`),
    ...profiles.findings,
    ...checkSenders(values),
    ...(await inAzure(bicep, file, values, profiles.groups, offline)),
  ];
}

async function inAzure(
  bicep: string,
  file: string,
  values: Values,
  groups: readonly string[],
  offline: boolean,
): Promise<Finding[]> {
  const unseen = (why: string) => [
    unknown(
      `names that are taken, regions, quotas, rights, what is brought along, enrollment groups: ${why}`,
    ),
  ];
  if (offline) {
    return unseen('Azure was not asked (--offline)');
  }
  const az = new AzureCli();
  try {
    const account = await az.account();
    const planned = await plannedResources(bicep, infra, file, account);
    const asked = await askAzure({ az, subscriptionId: account.id, values, planned, groups });
    return [ok(`signed in as ${account.user}, subscription ${account.id}`), ...asked];
  } catch (error) {
    if (!(error instanceof AzureCliError)) {
      throw error;
    }
    return unseen(`${error.message} (az login, az account set)`);
  }
}
