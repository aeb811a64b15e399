import { existsSync } from 'node:fs';
import path from 'node:path';
import { type EnrollmentProfile, profileProblems } from '../../src/enrollment/ledger/profiles.ts';
import { senderProblems } from '../../src/enrollment/pipeline/senders.ts';
import { readJsonFile } from '../../src/tools/json-file.ts';
import { type Finding, note, ok, wrong } from './finding.ts';
import type { Values } from './parameters.ts';

const project = path.resolve(import.meta.dirname, '../..');
/** DPS assigns no device to what is named otherwise. */
const hubHost = /^[a-z0-9](?:[a-z0-9-]{1,48}[a-z0-9])\.azure-devices\.net$/i;

interface ProfilesFile {
  readonly profiles: readonly EnrollmentProfile[];
}

/** Everything wrong with the profiles that would be deployed: of the file, and of it together with the parameters. */
export function checkProfiles(values: Values): { findings: Finding[]; groups: string[] } {
  const file = packaged(String(values.enrollmentProfilesFile), 'src/enrollment-profiles.json');
  const content = contentOf(file);
  if (content instanceof Error) {
    return { findings: [wrong(content.message)], groups: [] };
  }
  const problems = profileProblems(content);
  if (problems.length > 0) {
    return { findings: problems.map((problem) => wrong(`${file}: ${problem}`)), groups: [] };
  }
  const { profiles } = content as ProfilesFile;
  const findings = profiles.flatMap((profile) =>
    profileFindings(profile, values).map(({ verdict, what }) => ({
      verdict,
      what: `${file}: ${profile.product}: ${what}`,
    })),
  );
  const groups = profiles.flatMap(({ enrollmentGroup }) => enrollmentGroup ?? []);
  return {
    findings: findings.length > 0 ? findings : [ok(`${file}: ${profiles.length} profiles`)],
    groups: [...new Set(groups)],
  };
}

/** Senders and their secrets: each needs both. */
export function checkSenders(values: Values): Finding[] {
  const file = packaged(String(values.sendersFile), 'src/senders.json');
  const content = contentOf(file);
  if (content instanceof Error) {
    return [wrong(content.message)];
  }
  const problems = senderProblems(content);
  if (problems.length > 0) {
    return problems.map((problem) => wrong(`${file}: ${problem}`));
  }
  const senders = Object.keys(content as object).filter((name) => name !== '$schema');
  const withSecrets = (values.webhookSenders as readonly { sender: string }[]).map(({ sender }) => sender);
  return [
    ok(`${file}: ${senders.length} senders`),
    ...withSecrets
      .filter((sender) => !senders.includes(sender))
      .map((sender) =>
        wrong(`webhookSenders names ${sender}, which ${file} does not: it could send nothing`),
      ),
    ...senders
      .filter((sender) => !withSecrets.includes(sender))
      .map((sender) =>
        note(`${file} has ${sender}, but webhookSenders does not: without a secret it gets a 401`),
      ),
  ];
}

function profileFindings(profile: EnrollmentProfile, values: Values): Finding[] {
  const {
    allocationPolicy,
    iotHubs = [],
    customAllocationDefinition: custom,
    initialTwin,
    enrollmentGroup,
  } = profile;
  const linked = linkedHubs(values);
  const findings: Finding[] = [];
  if (allocationPolicy === 'static' && iotHubs.length > 1) {
    findings.push(wrong(`the policy static takes one hub, and iotHubs has ${iotHubs.length}`));
  }
  for (const host of iotHubs) {
    if (!hubHost.test(host)) {
      findings.push(wrong(`${host} is no host name of an IoT hub (NAME.azure-devices.net)`));
    } else if (linked.names.length > 0 && !linked.names.includes(host.toLowerCase())) {
      findings.push(
        (linked.isWhole ? wrong : note)(`${host} is not linked to DPS by newIotHubs or existingIotHubs`),
      );
    }
  }
  if (custom && !custom.webhookUrl.startsWith('https://')) {
    findings.push(wrong('DPS calls custom allocation webhooks over https only'));
  }
  if (custom && allocationPolicy !== 'custom') {
    findings.push(note('customAllocationDefinition is not used: allocationPolicy is not custom'));
  }
  if (initialTwin && linked.hasBasicTier) {
    findings.push(
      note('has an initial twin, and a hub of newIotHubs is of the basic tier, which has no twins'),
    );
  }
  if (enrollmentGroup !== undefined && values.existingDpsId === '') {
    findings.push(
      note(
        `the group ${enrollmentGroup} has to be made in the new DPS instance before devices of it register`,
      ),
    );
  }
  return findings;
}

/** By what the parameters say; made names are known to Azure only, and so is what a DPS brought along has linked. */
function linkedHubs(values: Values): { names: string[]; isWhole: boolean; hasBasicTier: boolean } {
  if (values.existingDpsId !== '') {
    return { names: [], isWhole: false, hasBasicTier: false };
  }
  const made = values.newIotHubs as readonly { name?: string; sku?: string }[];
  const existing = values.existingIotHubs as readonly { resourceId: string }[];
  const names = [
    ...made.flatMap(({ name }) => name ?? []),
    ...existing.map(({ resourceId }) => path.posix.basename(resourceId)),
  ];
  return {
    names: names.map((name) => `${name.toLowerCase()}.azure-devices.net`),
    isWhole: made.every(({ name }) => name !== undefined),
    hasBasicTier: made.some(({ sku }) => sku?.startsWith('B')),
  };
}

/** In the package if it was built, else in the project; the packaged one where no file is named. */
function packaged(named: string, byDefault: string): string {
  if (named === '') {
    return byDefault;
  }
  const built = path.join('dist', named);
  return existsSync(path.join(project, built)) ? built : named;
}

function contentOf(file: string): unknown {
  try {
    return readJsonFile(path.resolve(project, file), Error);
  } catch (error) {
    return error;
  }
}
