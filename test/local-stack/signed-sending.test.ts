import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultEndpointsFile, writeEndpoints } from '../../src/local/stack/endpoints.ts';
import { Chain } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';

const run = promisify(execFile);
const project = path.resolve(import.meta.dirname, '../..');
let folder: string;
let chain: Chain;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'signed-'));
  mkdirSync(path.join(folder, '.local'));
  chain = await Chain.start();
  writeEndpoints(path.join(folder, defaultEndpointsFile), {
    functions: chain.url,
    ...chain.stack.endpoints,
  });
});
afterAll(async () => {
  await chain?.close();
  rmSync(folder, { recursive: true });
});

describe('A sender of the local stack', () => {
  it('signs as the README says', async () => {
    const readme = readFileSync(path.join(project, 'src/events/README.md'), 'utf8');
    const [, commands = ''] = /## With a signed webhook.*?```sh\n(.*?)```/s.exec(readme) ?? [];
    expect(commands).toContain('webhook-signature');
    const here = commands.replace('http://localhost:7071', chain.url);
    const { stdout } = await run('sh', ['-c', here], { cwd: folder });
    expect(stdout).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(stdout).toContain('"subject":"thermostat-000043"');
    expect(stdout).toContain('"status":"succeeded"');
  });

  const send = (sender: string, ...events: object[]) => {
    writeFileSync(path.join(folder, 'events.json'), JSON.stringify(events));
    const script = path.join(project, 'src/local/send.ts');
    return run(process.execPath, [script, 'events.json', '--webhook', sender], { cwd: folder });
  };

  it('sends a file with npm run send -- FILE --webhook SENDER', async () => {
    const source = '/factories/brno/line-3';
    const made = manufactured('thermostat-s1', {}, { source });
    const { stdout } = await send('brno-mes', made);
    expect(stdout).toBe(`succeeded   device.manufactured thermostat-s1 (${made.id})\n`);
    const beyond = await send('brno-mes', event('batch.held', 'batch-s1', undefined, { source })).catch(
      (failed: { code: number; stdout: string }) => failed,
    );
    expect(beyond).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^rejected .*: not-permitted\. /),
    });
  });

  it('without a secret cannot', async () => {
    await expect(send('erp')).rejects.toThrow(
      'No secret of erp was found: the endpoints file has those of brno-mes; others come from the environment (WEBHOOK_SECRETS_ERP).',
    );
  });
});
