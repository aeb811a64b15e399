import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import decodeQR from 'qr/decode.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { DeviceCredentialsReader } from '../../src/enrollment/pipeline/device-credentials.ts';
import { MinuteLimit } from '../../src/enrollment/pipeline/minute-limit.ts';
import { deviceCredentials, problem } from '../../src/http/openapi-schemas.ts';
import { issueCertificate } from '../../src/local/demo/demo-authority.ts';
import { provisioningOf } from '../../src/local/devices/provisioning.ts';
import { registerDevice } from '../../src/local/devices/simulated-device.ts';
import { simulatedTpm } from '../../src/local/devices/simulated-tpm.ts';
import { startAppProcess } from '../../src/local/stack/app-process.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';
import { contentsOfTables } from '../support/table-contents.ts';

interface Credentials {
  readonly registrationId: string;
  readonly deviceId: string;
  readonly symmetricKey: { readonly primaryKey: string; readonly secondaryKey: string };
}

let chain: Chain;
let written = '';
beforeAll(async () => {
  chain = await Chain.start({ apps: 0 });
  const app = await startAppProcess({
    endpoints: chain.stack.endpoints,
    // As instances in this process: they share the quota's row.
    env: { CREDENTIALS: 'on', CREDENTIALS_PER_MINUTE: '1000', DPS_OPERATIONS_PER_MINUTE: '1000000' },
    output: 'pipe',
  });
  for (const stream of [app.child.stdout, app.child.stderr]) {
    stream?.on('data', (chunk) => {
      written += chunk;
    });
  }
  chain.apps.push(app);
});
afterAll(() => chain?.close());

const ask = (id: string) => chain.request(`/api/devices/${id}/credentials`, { method: 'POST' });

async function credentialsOf(id: string): Promise<Credentials> {
  const response = await ask(id);
  const body: unknown = await response.json();
  expect(response.status, JSON.stringify(body)).toBe(200);
  expect(deviceCredentials.parse(body)).toEqual(body);
  return body as Credentials;
}

async function refusalOf(id: string): Promise<{ status: number; detail: string }> {
  const response = await ask(id);
  const body: unknown = await response.json();
  expect(problem.parse(body)).toEqual(body);
  expect(response.headers.get('cache-control')).toBe('no-store');
  return { status: response.status, detail: (body as { detail: string }).detail };
}

function switchOn(registrationId: string, key: string) {
  const provisioning = provisioningOf(chain.stack.endpoints);
  return registerDevice(registrationId, { kind: 'symmetricKey', key }, provisioning);
}

describe('what the line writes into a device', () => {
  it('is what DPS generated: both keys, with which the device registers', async () => {
    await chain.settle(manufactured('thermostat-K1', { deviceId: 'Kitchen-1' }));
    const response = await ask('thermostat-k1');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism('thermostat-k1');
    const { idScope, deviceEndpoint } = chain.stack.endpoints.dps;
    expect(await response.json()).toEqual({
      registrationId: 'thermostat-K1',
      deviceId: 'Kitchen-1',
      idScope,
      globalEndpoint: new URL(deviceEndpoint).host,
      attestation: 'symmetricKey',
      symmetricKey,
    });
    for (const key of [symmetricKey!.primaryKey!, symmetricKey!.secondaryKey!]) {
      expect(await switchOn('thermostat-K1', key)).toMatchObject({ status: 'assigned' });
    }
  });

  it('is derived from its group’s keys, for the spelling that its event has', async () => {
    await chain.settle(event('batch.started', 'batch-K2', { product: 'beacon-b2' }));
    await chain.settle(manufactured('Beacon-K2', { product: 'beacon-b2', batch: 'batch-K2' }));
    const { registrationId, deviceId, symmetricKey } = await credentialsOf('beacon-k2');
    expect([registrationId, deviceId]).toEqual(['Beacon-K2', 'Beacon-K2']);
    const group = await chain.dps.enrollmentGroups.getAttestationMechanism('batch-k2');
    expect(JSON.stringify(symmetricKey)).not.toContain(group.symmetricKey!.primaryKey!);
    for (const key of Object.values(symmetricKey)) {
      expect(await switchOn(registrationId, key)).toMatchObject({ status: 'assigned' });
    }
  });

  it('is no secret where the device has a certificate or a TPM', async () => {
    const { certificate } = await issueCertificate('gateway-k3');
    const { endorsementKey } = simulatedTpm('meter-k3');
    await chain.settle(
      manufactured('gateway-k3', {
        product: 'gateway-g1',
        attestation: { type: 'x509', certificate },
      }),
      manufactured('meter-k3', { product: 'meter-m1', attestation: { type: 'tpm', endorsementKey } }),
    );
    const { attestation } = await chain.dps.individualEnrollments.get('gateway-k3');
    const { sha1Thumbprint, sha256Thumbprint } = attestation.x509!.clientCertificates!.primary!.info!;
    expect(await credentialsOf('gateway-k3')).toMatchObject({
      attestation: 'x509',
      x509: { primary: { sha1Thumbprint, sha256Thumbprint } },
    });
    expect(await credentialsOf('meter-k3')).toMatchObject({ attestation: 'tpm', tpm: { endorsementKey } });
  });

  it('is for devices that should be let in alone', async () => {
    await chain.settle(
      manufactured('thermostat-k4'),
      manufactured('thermostat-k5'),
      event('batch.started', 'batch-k6', { product: 'beacon-b2' }),
      manufactured('beacon-k6', { product: 'beacon-b2', batch: 'batch-k6' }),
    );
    await credentialsOf('beacon-k6');
    await chain.settle(
      event('device.held', 'thermostat-k4', { reason: 'smells' }, { minutesAgo: 5 }),
      event('device.scrapped', 'thermostat-k5', undefined, { minutesAgo: 5 }),
      event('batch.recalled', 'batch-k6', undefined, { minutesAgo: 5 }),
    );
    expect(await refusalOf('thermostat-k4')).toMatchObject({ status: 409 });
    expect(await refusalOf('thermostat-k5')).toMatchObject({ status: 409 });
    expect(await refusalOf('beacon-k6')).toMatchObject({ status: 409 });
    expect(await refusalOf('thermostat-nobody')).toMatchObject({ status: 404 });
    await chain.settle(event('device.released', 'thermostat-k4', undefined, { minutesAgo: 1 }));
    await credentialsOf('thermostat-k4');
  });

  it('is not handed out once a hold came, while DPS was being asked', async () => {
    await chain.settle(manufactured('thermostat-k7'));
    const { services } = chain.startInstance();
    const { ledger, profiles, dps, throttledDps, clock, log } = services;
    const limit = new MinuteLimit(services.table('quota'), { partition: 'k7', row: 'k7' }, 10, clock);
    const reader = new DeviceCredentialsReader({
      ...{ ledger, profiles, throttledDps, clock, log, limit, perMinute: 10 },
      dps: {
        enrollmentGroups: dps.enrollmentGroups,
        individualEnrollments: {
          getAttestationMechanism: async (id: string) => {
            const mechanism = await dps.individualEnrollments.getAttestationMechanism(id);
            await chain.settle(event('device.held', id, undefined, { minutesAgo: 1 }));
            return mechanism;
          },
        },
      } as unknown as Pick<DeviceProvisioningClient, 'individualEnrollments' | 'enrollmentGroups'>,
    });
    const read = reader.read('thermostat-k7', { source: '/keys/test', through: 'api' });
    await expect(read).rejects.toMatchObject({ name: 'CredentialsRefusedError', reason: 'kept-out' });
    const { events } = await chain.json<{ events: { type: string }[] }>('/api/devices/thermostat-k7/events');
    expect(events.map(({ type }) => type)).not.toContain('credentials.handed-out');
  });

  it('can be had later, while DPS does not answer', async () => {
    await chain.settle(manufactured('thermostat-k8'));
    const down = { operation: 'IndividualEnrollment_GetAttestationMechanism', status: 503 };
    await chain.control('faults', 'PUT', [down]);
    const response = await ask('thermostat-k8');
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    await chain.control('faults', 'PUT', []);
    await eventually(async () => (await ask('thermostat-k8')).status === 200, 'DPS answers again');
  });
});

describe('keys that were handed out', () => {
  it('are in the response alone; who asked is in the history and in the log', async () => {
    await chain.settle(manufactured('thermostat-k10'));
    const { symmetricKey } = await credentialsOf('thermostat-k10');
    const { events } = await chain.json<{ events: { type: string; detail: string; source: string }[] }>(
      '/api/devices/thermostat-k10/events',
    );
    expect(events[0]).toMatchObject({
      type: 'credentials.handed-out',
      source: '/keys/device-credentials',
      status: 'succeeded',
    });
    await eventually(
      async () => /credentials-handed-out \{[^\n]*thermostat-k10/.test(written),
      'the line is logged',
    );
    const places = {
      tables: await contentsOfTables(chain),
      logs: written,
      outcomes: JSON.stringify([...chain.listener.outcomes.values()]),
      history: JSON.stringify(events),
      document: await (await chain.request('/api/devices/thermostat-k10')).text(),
      page: await (await chain.request('/api/devices/thermostat-k10?format=html')).text(),
    };
    expect(places.page).toContain('Credentials handed out');
    for (const [place, text] of Object.entries(places)) {
      for (const key of Object.values(symmetricKey)) {
        expect(text.includes(key.slice(0, 20)), place).toBe(false);
        expect(text.includes(Buffer.from(key, 'base64').toString('hex').slice(0, 20)), place).toBe(false);
      }
    }
  });
});

describe('people', () => {
  const as = (who: string, more: Record<string, string> = {}) => ({
    headers: { cookie: `AppServiceAuthSession=${who}`, ...more },
  });
  const post = (who: string, more: Record<string, string> = {}) => ({ method: 'POST', ...as(who, more) });
  const text = async (response: Response | Promise<Response>) => (await response).text();

  it('with the role see the keys of a device, after a form of ours, and no copy is kept', async () => {
    await chain.settle(manufactured('thermostat-p1'));
    const place = '/fleet/devices/thermostat-p1';
    expect(await text(chain.request(place, as('operator')))).toContain(`action="${place}/credentials"`);
    expect(await text(chain.request(place, as('reader')))).not.toContain('/credentials"');
    const origin = new URL(chain.url).origin;
    const page = await chain.request(`${place}/credentials`, post('operator', { origin }));
    expect(page.status).toBe(200);
    expect(page.headers.get('cache-control')).toBe('no-store');
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism('thermostat-p1');
    const shown = await page.text();
    expect(shown).toContain(symmetricKey!.primaryKey!);
    expect(shown).toContain(symmetricKey!.secondaryKey!);
    const { events } = await chain.json<{ events: { source: string }[] }>(
      '/api/devices/thermostat-p1/events',
    );
    expect(events[0]).toMatchObject({ source: '/people/mara.quill%40contoso.com' });

    for (const refused of [
      post('operator'),
      post('operator', { origin: 'https://elsewhere.example' }),
      post('reader', { origin }),
    ]) {
      const answer = await chain.request(`${place}/credentials`, refused);
      expect(answer.status).toBe(403);
      expect(await answer.text()).not.toContain(symmetricKey!.primaryKey!);
    }
  });

  it('print labels, whose codes have no key unless the role asks for it', async () => {
    await chain.settle(manufactured('Thermostat-P2'));
    const place = '/fleet/devices/thermostat-p2/label';
    const { idScope } = chain.stack.endpoints.dps;
    const plain = { registrationId: 'Thermostat-P2', idScope };
    expect(codesIn(await text(chain.request(place, as('reader'))))).toEqual([plain]);
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism('thermostat-p2');
    const key = symmetricKey!.primaryKey!;
    expect(codesIn(await text(chain.request(`${place}?key=1`, as('operator'))))).toEqual([{ ...plain, key }]);
    const refused = [as('reader'), as('operator', { 'sec-fetch-site': 'cross-site' })];
    for (const each of refused) {
      const answer = await chain.request(`${place}?key=1`, each);
      expect(answer.status).toBe(403);
      expect(await answer.text()).not.toContain(key);
    }
    expect((await chain.request('/fleet/devices/nobody/label', as('reader'))).status).toBe(404);
  });

  it('print a batch as a sheet; who is held has no key on it', async () => {
    await chain.settle(event('batch.started', 'batch-p3', { product: 'beacon-b2' }));
    const ids = ['beacon-p3a', 'beacon-p3b', 'beacon-p3c'];
    await chain.settle(...ids.map((id) => manufactured(id, { product: 'beacon-b2', batch: 'batch-p3' })));
    await chain.settle(event('device.held', 'beacon-p3b', undefined, { minutesAgo: 1 }));
    const place = '/fleet/batches/batch-p3/labels';
    const labels = await eventually(async () => {
      const codes = codesIn(await text(chain.request(place, as('reader'))));
      return codes.length === 3 && codes;
    }, 'the index lists the batch');
    expect(labels.map(({ registrationId }) => registrationId)).toEqual(ids);
    expect(labels.every((label) => !('key' in label))).toBe(true);
    const sheet = await text(chain.request(`${place}?key=1`, as('operator')));
    const codes = codesIn(sheet);
    expect(codes.map(({ key }) => typeof key)).toEqual(['string', 'undefined', 'string']);
    expect(sheet).toContain('is held or scrapped');
    expect(await switchOn('beacon-p3c', codes[2]!.key!)).toMatchObject({ status: 'assigned' });
  });
});

describe('the setting', () => {
  it('is off by default, and wants the ID scope', async () => {
    await chain.settle(manufactured('thermostat-s1'));
    const app = await startAppProcess({ endpoints: chain.stack.endpoints, output: 'ignore' });
    const url = `${app.url}/api/devices/thermostat-s1/credentials`;
    const response = await chain.request(url, { method: 'POST' });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('CREDENTIALS');
    await app.stop();
    const { endpoints } = chain.stack;
    const withoutScope = { ...endpoints, dps: { ...endpoints.dps, idScope: '' } };
    const starting = startAppProcess({
      endpoints: withoutScope,
      env: { CREDENTIALS: 'on' },
      output: 'ignore',
    });
    await expect(starting).rejects.toThrow('DPS_ID_SCOPE is missing');
  });

  it('limits devices a minute, over all instances, and the log says when it is passed', async () => {
    await chain.settle(manufactured('thermostat-s2'));
    chain.advance(3 * 60_000);
    const instances = [1, 2].map(() =>
      chain.startInstance({ env: { CREDENTIALS: 'on', CREDENTIALS_PER_MINUTE: '3' } }),
    );
    const request = {
      ...{ method: 'POST', url: 'http://localhost/', params: { registrationId: 'thermostat-s2' } },
      ...{ headers: { get: () => null }, query: { get: () => null }, body: async () => new Uint8Array() },
    };
    // Two minutes at most, whenever the clock of the minute turns.
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => instances[index % 2]!.services.credentials.issue(request)),
    );
    const issued = answers.filter(({ status }) => status === 200);
    const limited = answers.filter(({ status }) => status === 429);
    expect(issued.length).toBeGreaterThanOrEqual(3);
    expect(issued.length).toBeLessThanOrEqual(6);
    expect(issued.length + limited.length).toBe(12);
    const seconds = limited.map(({ headers }) => Number(headers?.['retry-after']));
    expect(seconds.every((each) => each >= 1 && each <= 60)).toBe(true);
    const lines = instances
      .flatMap(({ logged }) => logged)
      .filter((line) => line.includes('credentials-limited'));
    expect(lines).toHaveLength(limited.length);
  });
});

describe('npm run device-key', () => {
  it('prints what the line would write, or the key alone', async () => {
    await chain.settle(manufactured('thermostat-c1'));
    const directory = mkdtempSync(path.join(tmpdir(), 'device-key-'));
    const file = path.join(directory, 'endpoints.json');
    writeFileSync(file, JSON.stringify({ ...chain.stack.endpoints, functions: chain.url }));
    const run = (...flags: string[]) =>
      promisify(execFile)(process.execPath, ['src/local/device-key.ts', ...flags, '--endpoints', file]);
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism('thermostat-c1');
    const whole = await run('thermostat-c1');
    expect(JSON.parse(whole.stdout)).toMatchObject({ registrationId: 'thermostat-c1', symmetricKey });
    expect((await run('thermostat-c1', '--key')).stdout.trim()).toBe(symmetricKey!.primaryKey);
    await expect(run('thermostat-nobody')).rejects.toThrow('404');
    rmSync(directory, { recursive: true });
  });
});

/** What a reader reads from the codes of a page. */
function codesIn(page: string): { registrationId: string; idScope: string; key?: string }[] {
  return [...page.matchAll(/<svg class="code"[^>]*viewBox="0 0 (\d+) \d+".*?d="([^"]+)"/g)].map(
    ([, size = '', d = '']) => {
      const scale = 4;
      const width = Number(size) * scale;
      const data = new Uint8Array(width * width * 4).fill(255);
      for (const [, x, y] of d.matchAll(/M(\d+) (\d+)h/g)) {
        for (let i = 0; i < scale * scale; i++) {
          const column = Number(x) * scale + (i % scale);
          const row = Number(y) * scale + Math.floor(i / scale);
          data.set([0, 0, 0], (row * width + column) * 4);
        }
      }
      return JSON.parse(decodeQR({ width, height: width, data }));
    },
  );
}
