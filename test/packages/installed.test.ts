import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackages, publicRepositoryUrl } from '../../src/local/build-packages.ts';
import { installFromNpm, npmIsReachable, npmPack, type Packed } from './npm.ts';

const project = path.resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
const reachable = npmIsReachable();

/** A stranger's program: both packages by name, every kind of call, options of every sort. */
const testProgram = `
import { readFileSync } from 'node:fs';
import {
  AlreadyExistsError, checkCertificate, deriveDeviceKey, DeviceProvisioningClient, ifFound,
  type CreateOrUpdateOptions, type EnrollmentGroup, type IndividualEnrollment, type OperationOptions,
} from '@dps-enrollment-pipeline/client';
import { type DpsEmulator, startDpsEmulator } from '@dps-enrollment-pipeline/emulator';

const statuses: number[] = [];
const options: CreateOrUpdateOptions & OperationOptions = {
  abortSignal: new AbortController().signal,
  onResponse: (response) => statuses.push(response.status),
};
const emulator: DpsEmulator = await startDpsEmulator({ certificateDirectory: 'certificates' });
const client = DeviceProvisioningClient.fromConnectionString(emulator.connectionString);
const enrollment: IndividualEnrollment = { registrationId: 'stranger', attestation: { type: 'symmetricKey' } };
const stored: IndividualEnrollment = await client.individualEnrollments.createOrUpdate(enrollment, options);
const group: EnrollmentGroup = await client.enrollmentGroups.createOrUpdate({
  enrollmentGroupId: 'strangers', attestation: { type: 'symmetricKey' },
});
const again = await client.individualEnrollments.createOrUpdate(enrollment).catch((error: unknown) => error);
const ids: string[] = [];
for await (const { registrationId } of client.individualEnrollments.query()) ids.push(registrationId);
const key = deriveDeviceKey(group.attestation.symmetricKey?.primaryKey ?? '', 'stranger');
const ca = checkCertificate(readFileSync(emulator.caCertificate, 'utf8'), { now: new Date(), mustBeCa: true });
console.log(JSON.stringify({
  node: process.versions.node.split('.')[0], statuses, ids, etag: stored.etag !== undefined,
  again: again instanceof AlreadyExistsError, keyBytes: Buffer.from(key, 'base64').length,
  missing: (await ifFound(client.enrollmentGroups.get('nobody'))) === undefined, problems: ca.problems,
}));
await client.close();
await emulator.close();
`;

const wrongProgram = `
import { DeviceProvisioningClient } from '@dps-enrollment-pipeline/client';
const client = DeviceProvisioningClient.fromConnectionString('');
await client.individualEnrollments.createOrUpdate({ enrollmentGroupId: 'a group', attestation: { type: 'none' } });
await client.enrollmentGroups.get('a', { abortsignal: undefined });
`;

describe('The address of the repository', () => {
  it.each([
    ['https://github.com/owner/name', 'git+https://github.com/owner/name.git'],
    ['https://user:token@github.com/owner/name.git', 'git+https://github.com/owner/name.git'],
    ['git@github.com:owner/name.git', 'git+https://github.com/owner/name.git'],
    ['ssh://git@example.org:2222/group/sub/name.git', 'git+https://example.org/group/sub/name.git'],
  ])('is public, and holds no credentials: %s', (remote, url) => {
    expect(publicRepositoryUrl(remote)).toBe(url);
  });

  it('is left out where the remote is a folder', () => {
    expect(publicRepositoryUrl('/home/me/name')).toBeUndefined();
    expect(publicRepositoryUrl('../name')).toBeUndefined();
  });
});

describe.skipIf(!reachable)('The packages', () => {
  let folder: string;
  let packed: Packed[];
  const runtimes: Record<string, string> = { '24': process.execPath };

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'packages-'));
    const folders = await buildPackages(project, path.join(folder, 'packages'));
    packed = await Promise.all(folders.map((each) => npmPack(each, folder)));
    const { devDependencies } = JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8'));
    const [node22] = await Promise.all([
      installFromNpm(path.join(folder, 'node22'), [`${runtimePackage()}@22`]),
      installFromNpm(path.join(folder, 'app'), [
        ...packed.map(({ file }) => file),
        `@types/node@${devDependencies['@types/node']}`,
      ]),
    ]);
    runtimes['22'] = path.join(node22, runtimePackage(), 'bin/node');
  }, 180_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('hold code, types and maps, the licence and how to use them, and nothing else', () => {
    for (const { files } of packed) {
      expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
      expect(files.filter((file) => !/^(?:lib|samples)\//.test(file)).sort()).toEqual([
        'LICENSE',
        'README.md',
        'package.json',
      ]);
      const code = files.filter((file) => file.endsWith('.js'));
      for (const file of code) {
        expect(files).toContain(`${file}.map`);
        expect(files).toContain(file.replace(/\.js$/, '.d.ts'));
      }
      expect(
        files.filter((file) => !/\.(?:js|js\.map|d\.ts)$/.test(file) && file.startsWith('lib/')),
      ).toEqual([]);
    }
  });

  it('depend on what they import, and on nothing else', () => {
    const dependencies = packed.map(({ manifest }) => [manifest.name, Object.keys(manifest.dependencies)]);
    expect(dependencies).toEqual([
      ['@dps-enrollment-pipeline/client', ['@azure/core-auth', '@azure/core-paging', 'undici']],
      ['@dps-enrollment-pipeline/emulator', ['@peculiar/x509', 'mqtt-packet', 'ws', 'zod']],
    ]);
    for (const { manifest } of packed) {
      expect(manifest).toMatchObject({ license: 'MIT', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
      expect(manifest).not.toHaveProperty('private');
    }
  });

  it('have sources in their maps, so that a debugger shows TypeScript', () => {
    const file = path.join(folder, 'app/node_modules/@dps-enrollment-pipeline/client/lib/client.js.map');
    const map = JSON.parse(readFileSync(file, 'utf8'));
    expect(map.sourcesContent[0]).toContain('export class DeviceProvisioningClient');
  });

  it('type-check in an empty project under --strict, wrong calls included', async () => {
    const app = path.join(folder, 'app');
    writeFileSync(path.join(app, 'use.ts'), testProgram);
    await tsc(app, 'use.ts', '--outDir', 'out');
    writeFileSync(path.join(app, 'wrong.ts'), wrongProgram);
    const { stdout } = await tsc(app, 'wrong.ts', '--noEmit').catch((error: { stdout: string }) => error);
    expect(stdout).toContain('enrollmentGroupId');
    expect(stdout).toContain('abortsignal');
  });

  it.each(['22', '24'])('run on plain Node %s', async (version) => {
    const app = path.join(folder, 'app');
    const cwd = path.join(folder, `run-${version}`);
    mkdirSync(cwd);
    const { stdout, stderr } = await run(runtimes[version]!, [path.join(app, 'out/use.js')], { cwd });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      node: version,
      statuses: [200],
      ids: ['stranger'],
      etag: true,
      again: true,
      keyBytes: 32,
      missing: true,
      problems: [],
    });
  });

  it.each(['22', '24'])('bring the command dps-emulator, on Node %s', async (version) => {
    const bin = path.join(folder, `bin-${version}`);
    mkdirSync(bin);
    symlinkSync(runtimes[version]!, path.join(bin, 'node'));
    const command = path.join(folder, 'app/node_modules/.bin/dps-emulator');
    const help = execFileSync(command, ['--help'], {
      env: { PATH: `${bin}:${process.env.PATH}` },
      encoding: 'utf8',
    });
    expect(help).toMatch(/^Usage: dps-emulator /);
  });
});

/** The package that holds Node itself, for this machine. */
function runtimePackage(): string {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const prefix = platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  return `${prefix}-${platform}-${process.arch}`;
}

function tsc(cwd: string, ...args: string[]) {
  const compiler = path.join(project, 'node_modules/typescript/bin/tsc');
  const flags = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  return run(process.execPath, [compiler, ...flags, ...args], { cwd });
}
