/** What a cold start spends on our code: importing the deployed bundle, beside an app of one empty function. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildApp } from '../../src/local/build.ts';
import type { Report } from './figure.ts';

const rounds = 9;
const goalInMs = 100;
const project = path.resolve(import.meta.dirname, '../..');

export async function run(report: Report): Promise<void> {
  mkdirSync(path.join(project, '.local'), { recursive: true });
  const folder = mkdtempSync(path.join(project, '.local', 'bundle-'));
  try {
    const ours = path.join(folder, 'ours');
    const size = await buildApp(project, ours);
    const empty = await buildEmptyApp(folder);
    const times = { ours: [] as number[], empty: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      times.ours.push(importTime(ours));
      times.empty.push(importTime(empty));
    }
    const [value, baseline] = [median(times.ours), median(times.empty)];
    report({
      name: 'importing the deployed bundle, beside an app of one empty function',
      value,
      unit: 'ms',
      baseline,
      ratio: value / baseline,
      goal: `at most ${goalInMs} ms`,
      met: value <= goalInMs,
    });
    const megabytes = size / 1024 / 1024;
    report({
      name: 'size of the deployed bundle',
      value: megabytes,
      unit: 'MB',
      goal: 'at most 3 MB',
      met: megabytes <= 3,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function buildEmptyApp(folder: string): Promise<string> {
  const source = path.join(folder, 'empty-source');
  mkdirSync(path.join(source, 'src/functions'), { recursive: true });
  writeFileSync(path.join(source, 'host.json'), '{ "version": "2.0" }');
  writeFileSync(
    path.join(source, 'src/functions/nothing.ts'),
    "import { app } from '@azure/functions';\napp.http('nothing', { handler: async () => ({ status: 204 }) });\n",
  );
  const built = path.join(folder, 'empty');
  await buildApp(source, built);
  return built;
}

/** In a process of its own, as a worker would: with a stand-in for the module that the host provides. */
function importTime(appDirectory: string): number {
  const bundle = pathToFileURL(path.join(appDirectory, 'main.mjs')).href;
  const script = `
    import Module from 'node:module';
    const original = Module.prototype.require;
    const core = { version: '4', hostVersion: '4', Disposable: class {}, registerFunction() {}, registerHook() {}, setProgrammingModel() {}, getProgrammingModel() {}, log() {} };
    Module.prototype.require = function (id) { return id === '@azure/functions-core' ? core : original.call(this, id); };
    const began = performance.now();
    await import(${JSON.stringify(bundle)});
    console.log(performance.now() - began);
    process.exit(0);`;
  const env = {
    ...process.env,
    DPS_ENDPOINT: 'https://bench.azure-devices-provisioning.net',
    ServiceBusConnection__fullyQualifiedNamespace: 'bench.servicebus.windows.net',
    AzureWebJobsStorage__accountName: 'bench',
  };
  const flags = ['--input-type=module', '--eval', script];
  return Number(
    execFileSync(process.execPath, flags, { env, cwd: tmpdir(), encoding: 'utf8' }).trim().split('\n').at(-1),
  );
}

function median(values: number[]): number {
  return values.sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}
