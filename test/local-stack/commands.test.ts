import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appTargets } from '../../src/local/stack/app-targets.ts';
import { readEndpoints, writeEndpoints } from '../../src/local/stack/endpoints.ts';
import { ownDirectory } from '../../src/local/stack/owner.ts';
import { unusedEndpoints } from '../functions-host/unused-endpoints.ts';

const project = path.resolve(import.meta.dirname, '../..');
const start = path.join(project, 'src/local/start.ts');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'commands-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const freePorts = ['port', 'dps-port', 'dps-tls-port', 'mqtt-port', 'servicebus-port', 'azurite-port'].map(
  (name) => `--${name}=0`,
);

async function runStart(flags: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [start, ...freePorts, ...flags], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  return { child, output: () => output };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('Each command', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8'));
  const own = Object.entries(scripts as Record<string, string>)
    .flatMap(([name, script]) => {
      const file = /(?:^|&& )node (\S+\.ts)/.exec(script)?.[1];
      return file === undefined ? [] : [[name, file] as const];
    })
    .sort();

  it.each(own)('npm run %s says how it is used, and does nothing else', async (name, file) => {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [path.join(project, file), '--help'],
      {
        cwd: folder,
      },
    );
    expect(stdout).toMatch(/^Usage: (npm (run )?[\w:-]+|dps-emulator )/);
    expect(stdout).toContain(name);
    expect(stderr).toBe('');
  });

  it('names every flag that it takes', () => {
    for (const [, file] of own) {
      const text = readFileSync(path.join(project, file), 'utf8');
      for (const [, flag] of text.matchAll(/^\s+'?([a-z-]+)'?: \{ type: '(?:string|boolean)'/gm)) {
        if (flag !== 'help') {
          expect(text, file).toMatch(new RegExp(`^ {2}--${flag} `, 'm'));
        }
      }
    }
  });
});

describe('npm start, told of other services by the environment,', () => {
  it('names them in the banner and in the endpoints file, without their keys', async () => {
    const file = path.join(folder, 'elsewhere.json');
    const { child, output } = await runStart([`--endpoints=${file}`], {
      DPS_CONNECTION_STRING:
        'HostName=contoso.azure-devices-provisioning.net;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0',
      TableStorage__tableServiceUri: 'https://contoso.table.core.windows.net',
      WEBHOOK_SECRETS_BRNO_MES: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
    });
    await until(() => output().includes('Endpoints'));
    expect(output()).toMatch(
      /The app uses DPS: contoso\.azure-devices-provisioning\.net {2}\(by DPS_CONNECTION_STRING\)/,
    );
    expect(output()).toMatch(/The app uses tables: contoso\.table\.core\.windows\.net/);
    expect(output()).not.toMatch(/The app uses Service Bus|c2VjcmV0/);
    const endpoints = readEndpoints(file);
    expect(endpoints.app).toEqual({
      dps: 'contoso.azure-devices-provisioning.net',
      serviceBus: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      tables: 'contoso.table.core.windows.net',
    });
    expect(endpoints.webhookSecrets).toEqual({});
    expect(readFileSync(file, 'utf8')).not.toContain('c2VjcmV0');
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  it('has the stack’s own in the endpoints file otherwise, in whatever form', () => {
    const of = (environment: Record<string, string>) => appTargets(unusedEndpoints, environment);
    expect(of({})).toEqual({ dps: '127.0.0.1:1', serviceBus: '127.0.0.1:1', tables: '127.0.0.1:10002' });
    expect(of({ DPS_ENDPOINT: 'https://a.azure-devices-provisioning.net' }).dps).toBe(
      'a.azure-devices-provisioning.net',
    );
    expect(of({ ServiceBusConnection__fullyQualifiedNamespace: 'a.servicebus.windows.net' }).serviceBus).toBe(
      'a.servicebus.windows.net',
    );
    expect(
      of({ ServiceBusConnection: 'Endpoint=sb://b.servicebus.windows.net/;SharedAccessKey=x' }).serviceBus,
    ).toBe('b.servicebus.windows.net');
    expect(of({ AzureWebJobsStorage__accountName: 'stb' }).tables).toBe('stb.table.core.windows.net');
    expect(
      of({ TableStorage: 'DefaultEndpointsProtocol=https;AccountName=stc;AccountKey=eA==' }).tables,
    ).toBe('stc.table.core.windows.net');
  });
});

describe('A second stack', () => {
  it('does not take the endpoints file of one that runs, and says what to do', async () => {
    const file = path.join(folder, 'taken.json');
    writeEndpoints(file, { ...unusedEndpoints, pid: process.pid });
    const { child, output } = await runStart([`--endpoints=${file}`, '--no-app']);
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(output()).toBe(
      `${file} belongs to the stack of process ${process.pid}, which runs: stop it, or name another file with --endpoints.\n`,
    );
    expect(readEndpoints(file).pid).toBe(process.pid);
  });

  it('does not take the data of one that runs, but those of one that was killed', () => {
    const taken = path.join(folder, 'taken');
    mkdirSync(taken);
    writeFileSync(path.join(taken, 'stack.pid'), String(process.ppid));
    expect(() => ownDirectory(taken)).toThrow(
      `${taken} has the data of the stack of process ${process.ppid}, which runs: stop it, or name another folder with --data.`,
    );
    writeFileSync(path.join(taken, 'stack.pid'), '4194304'); // more than any process has
    ownDirectory(taken);
    expect(readFileSync(path.join(taken, 'stack.pid'), 'utf8')).toBe(String(process.pid));
  });
});
