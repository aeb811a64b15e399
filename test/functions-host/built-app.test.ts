import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildApp } from '../../src/local/build.ts';
import { type AppProcess, startAppProcess } from '../../src/local/stack/app-process.ts';
import { unusedEndpoints } from './unused-endpoints.ts';

let folder: string;
let app: AppProcess;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'built-app-'));
  const output = path.join(folder, 'built');
  await buildApp(path.join(import.meta.dirname, 'sample-app'), output);
  const elsewhere = path.join(folder, 'deployed');
  cpSync(output, elsewhere, { recursive: true });
  const env = {
    TICK_SCHEDULE: '0 0 4 * * *',
    WORK_QUEUE: 'work',
    'AzureWebJobs.work.Disabled': '1',
    'AzureWebJobs.slow.Disabled': '1',
    'AzureWebJobs.binary.Disabled': '1',
    'AzureWebJobs.stuck.Disabled': '1',
  };
  app = await startAppProcess({ endpoints: unusedEndpoints, env, appDirectory: elsewhere, output: 'ignore' });
});

afterAll(async () => {
  await app.stop();
  rmSync(folder, { recursive: true });
});

it('The built folder holds the bundle, host.json, package.json and licences, and nothing else', () => {
  expect(readdirSync(path.join(folder, 'built')).sort()).toEqual([
    'THIRD_PARTY_LICENSES.txt',
    'host.json',
    'main.mjs',
    'package.json',
  ]);
});

it('The built folder runs without node_modules', async () => {
  const response = await fetch(`${app.url}/api/items/7`);
  expect(await response.json()).toEqual({ number: '7' });
});
