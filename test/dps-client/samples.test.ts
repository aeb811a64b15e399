import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate } from './certificates.ts';
import { TestEmulator } from './emulator.ts';

const samples = join(import.meta.dirname, '../../src/dps/samples');

/** What each sample prints, besides what the emulator chooses. */
const expectedOutputs: Record<string, string[]> = {
  'client-from-connection-string.ts': ['Connected to http://127.0.0.1'],
  'client-from-entra-id.ts': ['Connected to https://'],
  'client-from-named-key.ts': ['with both keys.'],
  'client-from-sas-token.ts': ['Connected to http://127.0.0.1'],
  'group-attestation-mechanism.ts': ['symmetricKey with primaryKey and secondaryKey.'],
  'group-bulk.ts': [
    'Created all: true.',
    'sample-group-bulk-b: 409202 EnrollmentGroup already exists.',
    'Deleted 3.',
  ],
  'group-get-and-update.ts': ['sample-group-update is disabled.'],
  'group-symmetric-key.ts': ['sample-group-key has a key of 64 bytes.', 'The key of sample-device has 32.'],
  'group-x509-ca.ts': ['Signed by factory-root.'],
  'group-x509-intermediate.ts': ['Signed by CN=factory.'],
  'handling-errors.ts': [
    'Reading: there is none.',
    'Creating: done.',
    'Creating again: it exists already.',
    'Updating: somebody was faster; read it again.',
    'Nonsense: individualEnrollments.query failed: 400',
  ],
  'individual-attestation-mechanism.ts': ['symmetricKey with primaryKey and secondaryKey.'],
  'individual-bulk.ts': ['Created 25.', 'Updated 25.', 'sample-bulk-unknown: NotFoundError'],
  'individual-get-and-update.ts': ['sample-update is unassigned.', 'sample-update is disabled.'],
  'individual-initial-twin.ts': [
    '{"tags":{"plant":"brno","line":3},"properties":{"desired":{"reportingIntervalInSeconds":30}}}',
  ],
  'individual-reprovision-policy.ts': ['{"updateHubAssignment":true,"migrateDeviceData":false}'],
  'individual-symmetric-key.ts': [
    'Problem with the key: none.',
    'sample-key will be thermostat-in-the-hall.',
  ],
  'individual-tpm.ts': ['sample-tpm attests by tpm.'],
  'individual-x509.ts': ['sample-x509 attests by CN=sample-x509, until 20'],
  'registration-states.ts': [
    'Registered with hub.azure-devices.net.',
    'sample-device is assigned.',
    'Assigned to hub.azure-devices.net as sample-device.',
  ],
};

let emulator: TestEmulator;
let directory: string;

beforeAll(async () => {
  emulator = await TestEmulator.start();
  directory = await mkdtemp(join(tmpdir(), 'dps-samples-'));
  const factory = await makeCertificate({ name: 'CN=factory', ca: true });
  const device = await makeCertificate({ name: 'CN=sample-x509', issuer: factory });
  await writeFile(join(directory, 'intermediate.pem'), factory.pem);
  await writeFile(join(directory, 'device.pem'), `${device.pem}\n${factory.pem}`);
  await fetch(`${emulator.endpoint}/_emulator/certificates/factory-root`, {
    method: 'PUT',
    body: factory.pem,
  });
});

afterAll(async () => {
  await emulator?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function runSample(name: string): Promise<string> {
  const overTls = name.includes('entra');
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(samples, name)], {
    cwd: directory,
    env: {
      ...emulator.environment,
      DPS_ENDPOINT: overTls ? emulator.tlsEndpoint : emulator.endpoint,
      DPS_POLICY_KEY: emulator.key,
      DPS_POLICY_SECONDARY_KEY: emulator.key,
      DPS_ACCESS_TOKEN: paperToken(),
      // The simulated device uses fetch, which trusts what this says.
      NODE_EXTRA_CA_CERTS: emulator.environment.DPS_CA_CERTIFICATE,
      NODE_NO_WARNINGS: '1',
      // Types are stripped once for all samples.
      NODE_COMPILE_CACHE: join(directory, 'compile-cache'),
    },
  });
  expect(stderr).toBe('');
  return stdout;
}

function paperToken(): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ aud: 'https://azure-devices-provisioning.net', exp })}.c2ln`;
}

describe('The samples', () => {
  it('are all tried here', async () => {
    const files = (await readdir(samples)).filter((name) => name !== 'simulated-device.ts');
    expect(files.sort()).toEqual(Object.keys(expectedOutputs).sort());
  });

  it.concurrent.each(Object.entries(expectedOutputs))(
    '%s does what it says, and leaves nothing behind',
    async (name, outputs) => {
      const stdout = await runSample(name);
      for (const output of outputs) {
        expect(stdout).toContain(output);
      }
    },
  );

  it('leave no enrollment behind', async () => {
    const stats = await emulator.control('GET', '/stats');
    expect(stats).toMatchObject({ enrollments: 0, enrollmentGroups: 0, registrations: 0 });
  });
});
