import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Endpoints, readEndpoints } from '../../src/local/stack/endpoints.ts';
import { freePorts } from '../support/free-ports.ts';
import { storageUrls } from './storage-urls.ts';

const script = path.resolve(import.meta.dirname, '../../src/local/start.ts');

let folder: string;
let endpointsFile: string;
let started: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'start-'));
  endpointsFile = path.join(folder, 'endpoints.json');
});
afterEach(() => {
  for (const child of started) {
    child.kill('SIGKILL');
  }
  started = [];
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(...flags: string[]) {
  const child = spawn(process.execPath, [script, `--endpoints=${endpointsFile}`, ...freePorts, ...flags], {
    cwd: folder,
  });
  started.push(child);
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  return { child, errors: () => errors };
}

async function ready(): Promise<Endpoints> {
  while (!existsSync(endpointsFile)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return readEndpoints(endpointsFile);
}

const everywhere = ({ functions, dps, tables }: Endpoints) => [
  ...(functions ? [functions] : []),
  dps.endpoint,
  ...storageUrls(tables.connectionString),
];

async function nothingAnswers(urls: readonly string[]): Promise<void> {
  for (const url of urls) {
    const answers = () =>
      fetch(url).then(
        () => true,
        () => false,
      );
    while (await answers()) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe('npm start', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends in order on %s: no file, no port, exit code 0',
    async (signal) => {
      const { child } = start();
      const endpoints = await ready();
      expect((await fetch(`${endpoints.functions}/api/health`)).status).toBe(200);
      child.kill(signal);
      expect(await once(child, 'exit')).toEqual([0, null]);
      expect(existsSync(endpointsFile)).toBe(false);
      await nothingAnswers(everywhere(endpoints));
    },
  );

  it('leaves no process and no port behind when it is killed', async () => {
    const { child } = start();
    const endpoints = await ready();
    child.kill('SIGKILL');
    await once(child, 'exit');
    await nothingAnswers(everywhere(endpoints));
    rmSync(endpointsFile);
  });

  it('ends when the npm that runs it is killed, although npm runs it through a shell', async () => {
    const command = [process.execPath, script, `--endpoints=${endpointsFile}`, ...freePorts].join(' ');
    const shell = spawn('sh', ['-c', `${command}; true`], {
      env: { ...process.env, npm_lifecycle_event: 'start' },
      stdio: 'ignore',
    });
    const endpoints = await ready();
    shell.kill('SIGKILL');
    await nothingAnswers(everywhere(endpoints));
    while (existsSync(endpointsFile)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  it('keeps its certificate where it is, and takes nothing from another stack of the same folder', async () => {
    const first = start('--no-app');
    const { dps } = await ready();
    expect(dps.caCertificate).toBe(path.join(realpathSync(folder), '.local/dps-emulator-ca.pem'));
    const certificate = readFileSync(dps.caCertificate, 'utf8');
    rmSync(endpointsFile);
    const second = start('--no-app');
    const others = await ready();
    expect(others.dps.caCertificate).toBe(dps.caCertificate);
    first.child.kill('SIGTERM');
    await once(first.child, 'exit');
    expect(readEndpoints(endpointsFile)).toEqual(others);
    expect(readFileSync(dps.caCertificate, 'utf8')).toBe(certificate);
    second.child.kill('SIGTERM');
    await once(second.child, 'exit');
    expect(existsSync(endpointsFile)).toBe(false);
    expect(existsSync(dps.caCertificate)).toBe(true);
  });

  it('without the app has keys for it, and no URL', async () => {
    const { child } = start('--no-app');
    const endpoints = await ready();
    expect(endpoints.functions).toBeUndefined();
    expect(Object.keys(endpoints.keys)).toEqual(['function', 'master']);
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  it('says in one line which port is taken, and ends with exit code 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { child, errors } = start(`--servicebus-port=${port}`);
    const [exitCode] = await once(child, 'close');
    expect(exitCode).toBe(1);
    expect(errors()).toMatch(new RegExp(`^Port ${port} is taken, .*--servicebus-port.*\\n$`));
    expect(existsSync(endpointsFile)).toBe(false);
    other.close();
  });

  it('refuses a flag that it does not know', async () => {
    const { child, errors } = start('--functions-port=1');
    const [exitCode] = await once(child, 'close');
    expect(exitCode).toBe(1);
    expect(errors().trimEnd()).not.toContain('\n');
    expect(errors()).toContain('--functions-port');
  });
});
