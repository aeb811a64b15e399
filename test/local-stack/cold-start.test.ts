import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltApp, buildApp } from '../../src/local/build.ts';
import { coldStart } from '../support/cold-start-process.ts';

const project = path.resolve(import.meta.dirname, '../..');
let folder: string;
let app: string;
let built: BuiltApp;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'cold-start-'));
  app = path.join(folder, 'dist');
  built = await buildApp(project, app);
});
afterAll(() => rmSync(folder, { recursive: true }));

function sourcesIn(files: readonly string[]): string[] {
  return files.flatMap((file) => built.sourcesOf[file] ?? []);
}

function packagesIn(files: readonly string[]): string[] {
  const names = sourcesIn(files).map((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

const functionsLibrary = ['@azure/functions', '@azure/functions-extensions-base', 'cookie'];

describe('A cold start', () => {
  it('loads the Functions library, settings and triggers, and nothing of what they call', async () => {
    const { atImport } = await coldStart(app);
    expect(packagesIn(atImport)).toEqual(functionsLibrary);
    const own = sourcesIn(atImport).filter((source) => source.startsWith('src/'));
    expect(own).toContain('src/settings.ts');
    expect(own.filter((source) => /^src\/(?:dps|enrollment|storage|services)/.test(source))).toEqual([]);
  });

  it('loads no more to say that the app is alive', async () => {
    const { status, atImport, afterwards } = await coldStart(app, { invoke: 'health' });
    expect(status).toBe('200');
    expect(afterwards).toEqual(atImport);
  });

  it.each([
    ['an event', 'events', '400'],
    ['a signature', 'webhooks', '401'],
  ])('loads no client of a service to evaluate %s', async (_, invoke, expected) => {
    const { status, afterwards } = await coldStart(app, { invoke, body: '{}' });
    expect(status).toBe(expected);
    expect(packagesIn(afterwards)).toEqual([...functionsLibrary, 'zod']);
  });

  it('is stopped by a wrong setting, before any invocation', async () => {
    const env = { DPS_ENDPOINT: 'nowhere' };
    await expect(coldStart(app, { env })).rejects.toThrow('DPS_ENDPOINT must be like https://');
  });

  it.each([
    ['profiles', 'ENROLLMENT_PROFILES', '{ "profiles": [] }', 'ProfilesError'],
    ['senders', 'SENDERS', '{ "brno-mes": {} }', 'SendersError'],
  ])('is stopped by %s that are wrong, before any invocation', async (name, setting, content, error) => {
    const file = path.join(folder, `${name}.json`);
    writeFileSync(file, content);
    await expect(coldStart(app, { env: { [setting]: file } })).rejects.toThrow(error);
  });
});
