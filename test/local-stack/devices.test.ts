import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { issueCertificate } from '../../src/local/demo/demo-authority.ts';
import { readDeviceFlags } from '../../src/local/devices/device-flags.ts';
import { simulatedTpm } from '../../src/local/devices/simulated-tpm.ts';
import { writeEndpoints } from '../../src/local/stack/endpoints.ts';
import { type Stack, startStack } from '../../src/local/stack/stack.ts';

const twin = { tags: { plant: 'brno' }, properties: { desired: { interval: 30 } } };

let stack: Stack;
let dps: DeviceProvisioningClient;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'devices-'));
  stack = await startStack();
  writeEndpoints(path.join(folder, 'endpoints.json'), stack.endpoints);
  dps = DeviceProvisioningClient.fromConnectionString(stack.endpoints.dps.connectionString);
});
afterAll(async () => {
  await dps.close();
  await stack.close();
  rmSync(folder, { recursive: true });
});

function run(command: 'device' | 'devices', ...flags: string[]) {
  const script = path.resolve(import.meta.dirname, `../../src/local/${command}.ts`);
  const endpoints = ['--endpoints', path.join(folder, 'endpoints.json')];
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    execFile(process.execPath, [script, ...flags, ...endpoints], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const withKey = (registrationId: string, more = {}) =>
  dps.individualEnrollments.createOrUpdate({
    registrationId,
    attestation: { type: 'symmetricKey' },
    initialTwin: twin,
    ...more,
  });

const stepsOf = (out: string) => out.split('\n').flatMap((line) => /^(\S+( key)?) {2}/.exec(line)?.[1] ?? []);

describe.concurrent('npm run device', () => {
  it.each([
    ['mqtt', 'mqtts://localhost:'],
    ['mqtt-ws', 'wss://localhost:'],
    ['http', 'https://localhost:'],
  ])('registers over %s and prints each step, hub and twin', async (protocol, address) => {
    const id = `dev-${protocol}`;
    await withKey(id);
    const { code, out, err } = await run('device', id, '--protocol', protocol);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(stepsOf(out)).toEqual(['key', 'connecting', 'assigning', 'assigned', 'twin']);
    expect(out).toContain(address);
    expect(out).toContain(`hub.azure-devices.net as ${id} (initialAssignment)`);
    expect(out).toContain('tags {"plant":"brno"}, desired {"interval":30}');
    expect(await dps.deviceRegistrationStates.get(id)).toMatchObject({ status: 'assigned' });
    const { symmetricKey } = await dps.individualEnrollments.getAttestationMechanism(id);
    expect(out).not.toContain(symmetricKey?.primaryKey);
  });

  it('registers with a key of its group', async () => {
    await dps.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'beacons',
      attestation: { type: 'symmetricKey' },
      initialTwin: twin,
    });
    const { code, out } = await run('device', 'beacon-1', '--group', 'beacons');
    expect(code).toBe(0);
    expect(out).toContain('tags {"plant":"brno"}');
    expect(await dps.deviceRegistrationStates.get('beacon-1')).toMatchObject({ status: 'assigned' });
  });

  it('registers with a certificate, and shows the twin of the group that let it in', {}, async () => {
    const line = await issueCertificate('line', { issuer: 'root', ca: true });
    const { certificate, privateKey } = await issueCertificate('sensor-1', { issuer: 'line' });
    const signingCertificates = { primary: { certificate: line.certificate } };
    await dps.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'sensors',
      attestation: { type: 'x509', x509: { signingCertificates } },
      initialTwin: twin,
    });
    const files = { certificate: path.join(folder, 'sensor.pem'), key: path.join(folder, 'sensor.key') };
    writeFileSync(files.certificate, certificate + line.certificate);
    writeFileSync(files.key, privateKey);
    const { code, out } = await run(
      'device',
      'sensor-1',
      '--certificate',
      files.certificate,
      '--key',
      files.key,
    );
    expect(code).toBe(0);
    expect(stepsOf(out)).toEqual(['certificate', 'connecting', 'assigning', 'assigned', 'twin']);
    expect(out).toContain('desired {"interval":30}');
  });

  it('registers with a TPM: it opens the challenge, and the key for its hub', {}, async () => {
    const { endorsementKey } = simulatedTpm('meter-1');
    await dps.individualEnrollments.createOrUpdate({
      registrationId: 'meter-1',
      attestation: { type: 'tpm', tpm: { endorsementKey } },
    });
    const { code, out } = await run('device', 'meter-1', '--tpm');
    expect(code).toBe(0);
    expect(stepsOf(out)).toEqual([
      'TPM',
      'connecting',
      'challenge',
      'assigning',
      'assigned',
      'hub key',
      'twin',
    ]);
    expect(out).toContain(endorsementKey);
  });

  it('ends with 1 and says why DPS refuses it', async () => {
    await withKey('held', { provisioningStatus: 'disabled' });
    await dps.individualEnrollments.createOrUpdate({
      registrationId: 'swapped',
      attestation: { type: 'tpm', tpm: { endorsementKey: simulatedTpm('another').endorsementKey } },
    });
    const [held, swapped] = await Promise.all([run('device', 'held'), run('device', 'swapped', '--tpm')]);
    expect(held).toMatchObject({ code: 1, err: '' });
    expect(held.out).toMatch(/^refused .*disabled/m);
    expect(swapped.out).toMatch(/^refused .*401002/m);
  });

  it('says in one line what is missing in DPS', async () => {
    const [nobody, noGroup] = await Promise.all([
      run('device', 'nobody'),
      run('device', 'nobody', '--group', 'nothing'),
    ]);
    expect(nobody.err).toMatch(/^DPS has no individual enrollment of nobody: .*\n$/);
    expect(noGroup).toMatchObject({ code: 1, out: '' });
    expect(noGroup.err).toMatch(/^DPS has no enrollment group nothing: .*\n$/);
  });

  it.each([
    [['dev', '--protocol', 'amqp'], "--protocol must be one of mqtt, mqtt-ws, http, not 'amqp'."],
    [['dev', '--tpm', '--protocol', 'mqtt'], 'DPS does not offer TPM attestation over MQTT'],
    [['dev', '--tpm', '--group', 'g'], 'Choose one of --group, --certificate and --tpm'],
    [['dev', '--certificate', 'x'], '--certificate and --key belong together'],
    [
      ['dev', '--certificate', 'nowhere', '--key', 'nowhere'],
      '--certificate: nowhere cannot be read (ENOENT).',
    ],
    [[], 'Name one device'],
    [['a', 'b'], 'Name one device'],
    [['a', '--hub', 'b'], "Unknown option '--hub'"],
  ])('takes no wrong flags: %j', (flags, sentence) => {
    expect(() => readDeviceFlags(flags)).toThrow(sentence);
  });
});

describe('npm run devices', () => {
  it('switches on those of a file, each with what it is enrolled with, over all protocols', async () => {
    const event = (type: string, subject: string, data: object) => ({ type: `mes.${type}`, subject, data });
    const gateway = await issueCertificate('gateway-9', { issuer: 'root' });
    const line = await issueCertificate('line 9', { issuer: 'root', ca: true });
    const stranger = { certificate: (await issueCertificate('stranger', { issuer: 'root' })).certificate };
    await dps.individualEnrollments.createOrUpdate({
      registrationId: 'meter-9',
      attestation: { type: 'tpm', tpm: { endorsementKey: simulatedTpm('meter-9').endorsementKey } },
    });
    await dps.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'line-9',
      attestation: {
        type: 'x509',
        x509: { signingCertificates: { primary: { certificate: line.certificate } } },
      },
    });
    for (const [registrationId, certificate] of [
      ['gateway-9', gateway.certificate],
      ['gateway-8', stranger.certificate],
    ] as const) {
      const clientCertificates = { primary: { certificate } };
      const attestation = { type: 'x509', x509: { clientCertificates } } as const;
      await dps.individualEnrollments.createOrUpdate({ registrationId, attestation });
    }
    await withKey('thermostat-9');
    const lines = [
      event('batch.started', 'line-9', { attestation: { signingCertificate: line.certificate } }),
      event('device.manufactured', 'sensor-9', { batch: 'line-9' }),
      event('device.manufactured', 'gateway-9', { attestation: { certificate: gateway.certificate } }),
      event('device.manufactured', 'gateway-8', { attestation: stranger }),
      event('device.manufactured', 'thermostat-9', {}),
      event('device.manufactured', 'thermostat-9', {}),
      event('device.manufactured', 'meter-9', {}),
      event('device.manufactured', 'never enrolled', {}),
      event('device.manufactured', 'never-enrolled', {}),
      event('device.held', 'thermostat-8', {}),
    ].map((each) => JSON.stringify(each));
    const file = path.join(folder, 'fleet.jsonl');
    writeFileSync(file, [...lines, 'no JSON'].join('\n'));
    const { code, out } = await run('devices', '--file', file);
    expect(code).toBe(0);
    expect(out).toMatch(/^6 of 6: .*4 assigned/m);
    expect(out).toMatch(/^no key here +gateway-8$/m);
    expect(out).toMatch(/^unauthorized +never-enrolled$/m);
    for (const protocol of ['http', 'mqtt', 'mqtt-ws']) {
      expect(out).toContain(` ${protocol}`);
    }
    for (const id of ['sensor-9', 'gateway-9', 'thermostat-9', 'meter-9']) {
      expect(await dps.deviceRegistrationStates.get(id)).toMatchObject({ status: 'assigned' });
    }
  });

  it('takes as many as it is told of those that are enrolled, and says if there are fewer', async () => {
    await withKey('one-more');
    const { code, out } = await run('devices', '--count', '1');
    expect(code).toBe(0);
    expect(out).toMatch(/^1 of 1: /m);
    expect((await run('devices', '--count', '5000')).out).toMatch(/^There are \d+ devices, not 5000\.$/m);
  });

  it('says in one line what is missing', async () => {
    const [, ...others] = await Promise.all([
      run('devices', '--help'),
      run('devices'),
      run('devices', '--count', '0'),
      run('devices', '--file', 'package.json'),
    ]);
    const sentences = [
      /^Say how many devices.*\n$/,
      /^--count must be a whole.*\n$/,
      /^package.json manufactures no.*\n$/,
    ];
    for (const [index, sentence] of sentences.entries()) {
      expect(others[index]).toMatchObject({ code: 1, err: expect.stringMatching(sentence) });
    }
  });
});
