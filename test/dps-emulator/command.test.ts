import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

const main = join(import.meta.dirname, '../../src/local/dps/main.ts');

let directory: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dps-command-'));
});
afterEach(() => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
  }
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function run(...flags: string[]) {
  const child = spawn(process.execPath, [main, ...flags], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const seen = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (seen.out += chunk));
  child.stderr.on('data', (chunk) => (seen.err += chunk));
  const exited = once(child, 'close').then(([code]) => code as number);
  const printed = async (pattern: RegExp) => {
    while (!pattern.test(seen.out)) {
      await Promise.race([
        once(child.stdout, 'data'),
        exited.then((code) => Promise.reject(new Error(`exit ${code}: ${seen.err}`))),
      ]);
    }
    return pattern.exec(seen.out)!;
  };
  return { child, seen, exited, printed };
}

it.each(['SIGINT', 'SIGTERM'] as const)(
  'prints what is where, serves, and ends cleanly on %s',
  async (signal) => {
    const { child, seen, exited, printed } = run(
      '--dps-port',
      '0',
      '--dps-tls-port',
      '0',
      '--mqtt-port',
      '0',
    );
    const [, page] = (await printed(/page\s+(\S+)\n.*\n/)) as unknown as [string, string];
    for (const part of [
      'HostName=127.0.0.1:',
      'https://localhost:',
      'id scope',
      'dps-emulator-ca.pem',
      'in memory',
    ]) {
      expect(seen.out).toContain(part);
    }
    expect((await fetch(page)).status).toBe(200);
    child.kill(signal);
    expect(await exited).toBe(0);
    expect(seen.err).toBe('');
  },
);

it('keeps its state under --data when it is killed, and takes quotas from flags', async () => {
  const flags = [
    '--dps-port',
    '0',
    '--dps-tls-port',
    '0',
    '--mqtt-port',
    '0',
    '--data',
    join(directory, 'data'),
    '--operations-per-minute',
    '0',
  ];
  const first = run(...flags);
  const [, endpoint] = await first.printed(/APIs?\s+(\S+)\n/);
  await fetch(`${endpoint}/_emulator/seed`, { method: 'POST', body: '{"individualEnrollments":5}' });
  first.child.kill('SIGKILL');
  await first.exited;
  const second = run(...flags);
  const [, again] = await second.printed(/APIs?\s+(\S+)\n/);
  expect(await (await fetch(`${again}/_emulator/stats`)).json()).toMatchObject({ enrollments: 5 });
});

it('says in one line which port is taken', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const { seen, exited } = run('--dps-port', '0', '--dps-tls-port', '0', '--mqtt-port', String(port));
  expect(await exited).toBe(1);
  expect(seen.err).toMatch(new RegExp(`^Port ${port} is taken.*\n$`));
  other.close();
});

it('says in one line what is wrong with a flag', async () => {
  for (const flags of [['--dps-port', 'x'], ['--port', '1'], ['--operations-per-minute', '-1'], ['more']]) {
    const { seen, exited } = run(...flags);
    expect(await exited).toBe(1);
    expect(seen.err).toMatch(/^.+\n$/);
  }
  const help = run('--help');
  expect(await help.exited).toBe(0);
  expect(help.seen.out).toContain('--dps-port');
});
