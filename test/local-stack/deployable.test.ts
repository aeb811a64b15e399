import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltApp, buildApp } from '../../src/local/build.ts';
import { type AppProcess, startAppProcess } from '../../src/local/stack/app-process.ts';
import { type Stack, startStack } from '../../src/local/stack/stack.ts';

const project = path.resolve(import.meta.dirname, '../..');
let folder: string;
let deployable: BuiltApp;
let stack: Stack;
let app: AppProcess;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'deployable-'));
  const built = path.join(folder, 'dist');
  [stack, deployable] = await Promise.all([startStack(), buildApp(project, built)]);
  const appDirectory = path.join(folder, 'deployed'); // far from every node_modules
  cpSync(built, appDirectory, { recursive: true });
  app = await startAppProcess({ endpoints: stack.endpoints, appDirectory });
});

afterAll(async () => {
  await app.stop();
  await stack.close();
  rmSync(folder, { recursive: true });
});

describe('The deployable folder', () => {
  it('holds one bundle of at most 3 MB, host.json and package.json', () => {
    const files = readdirSync(path.join(folder, 'dist'));
    const later = files.filter((file) => /^later-[0-9A-Z]+\.mjs$/.test(file));
    expect(files.filter((file) => !later.includes(file)).sort()).toEqual([
      'THIRD_PARTY_LICENSES.txt',
      'assets',
      'host.json',
      'main.mjs',
      'package.json',
    ]);
    expect(later.length).toBeLessThan(48);
    expect(deployable.sizeInBytes).toBeLessThan(3 * 1024 * 1024);
  });

  it('names everybody whose code is in the bundle, with their licence', () => {
    const text = readFileSync(path.join(folder, 'dist/THIRD_PARTY_LICENSES.txt'), 'utf8');
    const bundled = Object.values(deployable.sourcesOf)
      .flat()
      .flatMap((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1] ?? []);
    expect(bundled).toContain('undici');
    for (const name of new Set(bundled)) {
      const own = deployable.packages.find((each) => each.name === name);
      expect(own, name).toBeDefined();
      expect(text).toContain(`${name} ${own?.version} (${own?.licence})`);
    }
    expect(text).toMatch(/Permission is hereby granted, free of charge/);
    for (const { name, version, licence, text: own } of deployable.packages) {
      expect(text).toContain(
        `${name} ${version} (${licence})\n\n${own || 'The package brings no licence file.'}\n`,
      );
    }
  });

  it('takes an event all the way to DPS, with nothing else on disk', async () => {
    const event = {
      specversion: '1.0',
      id: 'e-1',
      source: '/factories/brno',
      type: 'device.manufactured',
      subject: 'thermostat-000042',
      time: new Date().toISOString(),
      data: { product: 'thermostat-g2' },
    };
    const response = await fetch(`${app.url}/api/events`, {
      method: 'POST',
      headers: {
        'content-type': 'application/cloudevents+json',
        'x-functions-key': stack.endpoints.keys.function,
        prefer: 'wait=30',
      },
      body: JSON.stringify(event),
    });
    expect(await response.json()).toMatchObject({ events: [{ id: 'e-1', status: 'succeeded' }] });
    const stats = await (await fetch(`${stack.endpoints.dps.endpoint}/_emulator/stats`)).json();
    expect(stats).toMatchObject({ enrollments: 1 });
  });
});
