import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { beforeAll, describe } from 'vitest';
import { findBicep, howToGetBicep } from '../../infra/find-bicep.ts';

const run = promisify(execFile);

export const infra = path.resolve(import.meta.dirname, '../../infra');
export const subscription = '/subscriptions/00000000-0000-4000-8000-000000000001';
const tenant = '00000000-0000-4000-8000-000000000002';

export const bicep = await findBicep();
const mustBeThere = process.env.CI === 'true';

export interface Resource {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly location?: string;
  readonly sku?: Readonly<Record<string, unknown>>;
  readonly tags?: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: what the compiler evaluated; the tests look into it.
  readonly properties: any;
}

export interface Deployment {
  readonly variant: string;
  readonly resources: readonly Resource[];
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** A `describe` whose tests are skipped where no compiler can be had; with `CI=true` they fail there. */
export function describeBicep(name: string, tests: () => void): void {
  if (bicep === undefined && !mustBeThere) {
    console.warn(`${howToGetBicep} Skipped: ${name}.`);
    describe.skip(name, tests);
    return;
  }
  describe(name, () => {
    beforeAll(() => {
      if (bicep === undefined) {
        throw new Error(howToGetBicep);
      }
    });
    tests();
  });
}

/** Evaluates variants one after the other, before the tests; what was evaluated before is taken from disk. */
export function deployments<Name extends string>(...variants: Name[]): Record<Name, Deployment> {
  const evaluated = {} as Record<Name, Deployment>;
  beforeAll(async () => {
    for (const variant of variants) {
      evaluated[variant] = await evaluate(variant);
    }
  }, 240_000);
  return evaluated;
}

export function ofType({ resources }: Deployment, type: string): Resource[] {
  return resources.filter((resource) => resource.type.toLowerCase() === type.toLowerCase());
}

export function onlyOne(deployment: Deployment, type: string): Resource {
  const [first, ...others] = ofType(deployment, type);
  if (!first || others.length > 0) {
    throw new Error(`${deployment.variant}: not one ${type}`);
  }
  return first;
}

/** All strings in a value, with the path to each. */
export function strings(value: unknown, at = ''): [at: string, text: string][] {
  if (typeof value === 'string') {
    return [[at, value]];
  }
  if (value === null || typeof value !== 'object') {
    return [];
  }
  return Object.entries(value).flatMap(([key, member]) => strings(member, at === '' ? key : `${at}.${key}`));
}

/** `bicep snapshot`: the resources that a deployment of `infra/variants/<variant>.bicepparam` would make. */
async function evaluate(variant: string): Promise<Deployment> {
  const cache = path.join(tmpdir(), `evaluated-bicep-${await fingerprint()}`);
  await mkdir(cache, { recursive: true });
  const file = path.join(cache, `${variant}.json`);
  await oneAtATime(`${file}.lock`, async () => {
    if (!(await exists(file))) {
      await snapshot(variant, file);
    }
  });
  const { predictedResources, outputs, diagnostics } = JSON.parse(await readFile(file, 'utf8'));
  if (diagnostics.length > 0) {
    throw new Error(`${variant} cannot be evaluated whole: ${diagnostics.join('\n')}`);
  }
  return { variant, resources: resolved(predictedResources) as Resource[], outputs: outputs ?? {} };
}

async function snapshot(variant: string, file: string): Promise<void> {
  const copy = await mkdtemp(path.join(tmpdir(), 'evaluate-bicep-'));
  try {
    await cp(infra, copy, { recursive: true });
    const folder = path.join(copy, 'variants');
    const scope = ['--subscription-id', path.basename(subscription), '--tenant-id', tenant];
    const options = ['--mode', 'overwrite', '--location', 'westeurope', ...scope];
    await run(bicep ?? 'bicep', ['snapshot', `${variant}.bicepparam`, ...options], { cwd: folder });
    await cp(path.join(folder, `${variant}.snapshot.json`), `${file}.new`);
    await rename(`${file}.new`, file);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Of all that the evaluation depends on. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256').update(bicep ?? '');
  hash.update(String((await stat(bicep ?? infra)).mtimeMs));
  const files = globSync('**/*.{bicep,bicepparam,json}', { cwd: infra }).sort();
  for (const file of files) {
    hash.update(`\0${file}\0`).update(await readFile(path.join(infra, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Test files run side by side; a variant is evaluated by the first that asks. */
async function oneAtATime(lock: string, work: () => Promise<void>): Promise<void> {
  for (let waited = 0; ; waited += 100) {
    try {
      await mkdir(lock);
      break;
    } catch {
      if (waited < 60_000) {
        await sleep(100);
      } else {
        break; // who took it was killed
      }
    }
  }
  try {
    await work();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** What only Azure knows stays an expression, except the names of its public cloud. */
function resolved(value: unknown): unknown {
  if (typeof value === 'string') {
    return resolvedText(value);
  }
  if (Array.isArray(value)) {
    return value.map(resolved);
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, resolved(member)]));
}

const known: Record<string, (values: string[]) => string> = {
  format: ([template = '', ...values]) =>
    template.replace(/\{(\d+)\}/g, (_, index) => values[Number(index)] ?? ''),
  replace: ([text = '', from = '', to = '']) => text.replaceAll(from, to),
  resourceId: ([subscriptionId, group, type, name]) =>
    `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/${type}/${name}`,
};

/** From the inside out: a call of a function above whose arguments are all literal becomes a literal. */
function resolvedText(text: string): string {
  if (!text.startsWith('[')) {
    return text;
  }
  const literals = text
    .replaceAll('environment().suffixes.storage', "'core.windows.net'")
    .replaceAll('environment().suffixes.keyvaultDns', "'.vault.azure.net'");
  const evaluated = literals.replace(
    /\b(format|replace|resourceId)\(('[^']*'(?:, '[^']*')*)\)/g,
    (_, name, values) => `'${known[name]?.([...values.matchAll(/'([^']*)'/g)].map((match) => match[1]))}'`,
  );
  const literal = /^\['([^']*)'\]$/.exec(evaluated)?.[1];
  return literal ?? (evaluated === literals ? evaluated : resolvedText(evaluated));
}
