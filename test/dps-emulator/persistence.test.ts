import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeCertificate } from './certificates.ts';
import {
  derivedKey,
  register,
  startTestEmulator,
  symmetric,
  symmetricGroup,
  type TestEmulator,
} from './harness.ts';

let dataDirectory: string;
let emulator: TestEmulator;
const start = async () => {
  emulator = await startTestEmulator({
    dataDirectory,
    certificateDirectory: join(dataDirectory, 'certificates'),
  });
};

beforeEach(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'dps-data-'));
  await start();
});
afterEach(async () => {
  await emulator.stop();
  await rm(dataDirectory, { recursive: true, force: true });
});

const restart = async () => {
  await emulator.stop();
  await start();
};
const journal = () => join(dataDirectory, 'dps-emulator.jsonl');

async function everything(): Promise<unknown> {
  const read = async (method: string, path: string, body?: unknown) =>
    (await emulator.call(method, path, { body })).json;
  return {
    enrollments: await read('POST', '/enrollments/query', { query: '*' }),
    groups: await read('POST', '/enrollmentGroups/query', { query: '*' }),
    members: await read('POST', '/registrations/batch-1/query'),
    one: await read('GET', '/enrollments/dev-1'),
    keys: await read('POST', '/enrollments/dev-1/attestationmechanism'),
  };
}

it('keeps enrollments, keys, groups, registrations, hubs, certificates and authorities over restarts', async () => {
  const root = await makeCertificate('CN=root', { isAuthority: true });
  await emulator.control('PUT', 'certificates/root', root.pem);
  await emulator.control('PUT', 'hubs', [{ hostName: 'kept.azure-devices.net' }]);
  const { json } = await emulator.call('PUT', '/enrollments/dev-1', {
    body: symmetric('dev-1', { deviceId: 'ž'.replace('ž', 'z') }),
  });
  await emulator.call('PUT', '/enrollments/gone', { body: symmetric('gone') });
  await emulator.call('DELETE', '/enrollments/gone');
  const group = await emulator.call('PUT', '/enrollmentGroups/batch-1', { body: symmetricGroup('batch-1') });
  const signing = { signingCertificates: { primary: { certificate: root.pem } } };
  const x509Group = {
    enrollmentGroupId: 'x',
    attestation: { type: 'x509', x509: signing },
    initialTwin: { tags: { name: 'žluť ☃' } },
  };
  await emulator.call('PUT', '/enrollmentGroups/x', { body: x509Group });
  await register(emulator, 'dev-1', { key: json.attestation.symmetricKey.primaryKey });
  const member = derivedKey(group.json.attestation.symmetricKey.primaryKey, 'dev-2');
  await register(emulator, 'dev-2', { key: member });
  const before = await everything();
  const authority = await readFile(emulator.caCertificate, 'utf8');

  await restart();
  expect(await everything()).toEqual(before);
  expect(await readFile(emulator.caCertificate, 'utf8')).toBe(authority);
  const again = await register(emulator, 'dev-2', { key: member });
  expect(again.json.registrationState).toMatchObject({
    assignedHub: 'kept.azure-devices.net',
    substatus: 'reprovisionedToInitialAssignment',
  });
  const leaf = await makeCertificate('CN=dev-3', { issuer: root });
  expect((await register(emulator, 'dev-3', { identity: leaf })).json.status).toBe('assigned');
});

it('goes on paging with a token from before the restart', async () => {
  await emulator.control('POST', 'seed', { individualEnrollments: 120 });
  const page = (token?: string) =>
    emulator.call('POST', '/enrollments/query', {
      body: { query: '*' },
      headers: { 'x-ms-continuation': token },
    });
  const first = await page();
  const token = first.headers['x-ms-continuation']!;
  const second = await page(token);
  await restart();
  expect((await page(token)).json).toEqual(second.json);
});

it('reads what a crash left: a last line that is torn is cut off, and writing goes on behind the others', async () => {
  await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
  await emulator.call('PUT', '/enrollments/dev-2', { body: symmetric('dev-2') });
  await emulator.stop();
  const whole = await readFile(journal());
  const lastLine = whole.lastIndexOf(10, whole.length - 2) + 1;
  for (const length of [whole.length - 1, whole.length - 30, lastLine + 1, lastLine]) {
    await writeFile(journal(), whole.subarray(0, length));
    await start();
    expect((await emulator.control('GET', 'stats')).json.enrollments).toBe(1);
    expect((await emulator.call('PUT', '/enrollments/dev-3', { body: symmetric('dev-3') })).status).toBe(200);
    await restart();
    expect((await emulator.control('GET', 'stats')).json.enrollments).toBe(2);
    await emulator.stop();
  }
  await start();
});

it('reads a file whose end is zeros, or that has no whole line', async () => {
  await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
  await emulator.stop();
  await appendFile(journal(), Buffer.alloc(500));
  await start();
  expect((await emulator.control('GET', 'stats')).json.enrollments).toBe(1);
  for (const text of ['', '{"jour']) {
    await emulator.stop();
    await writeFile(journal(), text);
    await start();
    expect((await emulator.control('GET', 'stats')).json.enrollments).toBe(0);
  }
});

it('refuses a file that is something else, and leaves it as it is', async () => {
  await emulator.stop();
  const foreign = '{"name":"something else"}\n{"a":1}\n';
  await writeFile(journal(), foreign);
  await expect(start()).rejects.toThrow(/no journal of this DPS emulator/);
  expect(await readFile(journal(), 'utf8')).toBe(foreign);
  await rm(journal());
  await start();
});

it('does not grow for ever: a restart leaves out what was overwritten', async () => {
  const items = (etag?: string) =>
    Array.from({ length: 10 }, (_, index) => symmetric(`dev-${index}`, { etag }));
  await emulator.call('POST', '/enrollments', { body: { mode: 'create', enrollments: items() } });
  await emulator.call('PUT', '/enrollmentGroups/batch-1', { body: symmetricGroup('batch-1') });
  for (let index = 0; index < 110; index += 1) {
    await emulator.call('POST', '/enrollments', { body: { mode: 'update', enrollments: items('*') } });
  }
  const before = await everything();
  const { size } = await stat(journal());
  await restart();
  expect((await stat(journal())).size).toBeLessThan(size / 20);
  expect(await everything()).toEqual(before);
  expect((await readdir(dataDirectory)).sort()).toEqual(['certificates', 'dps-emulator.jsonl']);
});

it('forgets after a reset, for good', async () => {
  await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
  await emulator.control('POST', 'reset');
  await restart();
  expect((await emulator.control('GET', 'stats')).json.enrollments).toBe(0);
});
