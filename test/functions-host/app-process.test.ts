import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AppProcess, startAppProcess } from '../../src/local/stack/app-process.ts';
import { writeEndpoints } from '../../src/local/stack/endpoints.ts';
import { unusedEndpoints } from './unused-endpoints.ts';

const appDirectory = path.join(import.meta.dirname, 'sample-app');
const env = {
  TICK_SCHEDULE: '0 0 4 * * *',
  WORK_QUEUE: 'work',
  'AzureWebJobs.work.Disabled': '1',
  'AzureWebJobs.slow.Disabled': '1',
  'AzureWebJobs.binary.Disabled': '1',
  'AzureWebJobs.stuck.Disabled': '1',
};
const startSample = (more: Partial<Parameters<typeof startAppProcess>[0]> = {}): Promise<AppProcess> =>
  startAppProcess({ endpoints: unusedEndpoints, env, appDirectory, output: 'ignore', ...more });

describe('The app in a process of its own', () => {
  it('answers until it is stopped, and its port is free then', async () => {
    const app = await startSample();
    expect(await (await fetch(`${app.url}/api/items/7`)).json()).toEqual({ number: '7' });
    await app.stop();
    expect(app.child.exitCode).toBe(0);
    await expect(fetch(`${app.url}/api/items/7`)).rejects.toThrow();
  });

  it('may be killed and started again on the same port', async () => {
    const first = await startSample();
    await first.kill();
    const port = Number(new URL(first.url).port);
    const second = await startSample({ port });
    expect(second.url).toBe(first.url);
    expect((await fetch(`${second.url}/api/items`)).status).toBe(200);
    await second.stop();
  });

  it('says which setting is missing', async () => {
    await expect(
      startSample({ env: { ...env, 'AzureWebJobs.work.Disabled': '0', WORK_QUEUE: '' } }),
    ).rejects.toThrow("'%WORK_QUEUE%' does not resolve: there is no setting 'WORK_QUEUE'.");
  });

  it('says which port is taken and what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(startSample({ port })).rejects.toThrow(
      `Port ${port} is taken, which the function app needs: stop what uses it, or choose another with --port`,
    );
    other.close();
  });
});

describe('npm run app', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'endpoints-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = async (...flags: string[]) => {
    const script = path.resolve(import.meta.dirname, '../../src/local/app.ts');
    const child = spawn(process.execPath, [script, ...flags], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    const [exitCode] = await once(child, 'close');
    return { exitCode, errors };
  };

  it('without a stack says how to start one, in one line', async () => {
    const { exitCode, errors } = await run('--port', '0');
    expect(exitCode).toBe(1);
    expect(errors).toBe(
      'There is no .local/endpoints.json: start the stack first (npm start), or name its file with --endpoints.\n',
    );
  });

  it('refuses what is no port', async () => {
    writeEndpoints(path.join(folder, 'endpoints.json'), unusedEndpoints);
    const { exitCode, errors } = await run('--endpoints', 'endpoints.json', '--port', 'http');
    expect(exitCode).toBe(1);
    expect(errors).toBe("--port takes a port number (0 picks a free one), not 'http'.\n");
  });
});
