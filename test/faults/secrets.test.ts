import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startAppProcess } from '../../src/local/stack/app-process.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { ProfilesFile } from '../support/profiles-file.ts';
import { contentsOfTables } from '../support/table-contents.ts';

const canary = (index: number) => Buffer.from(`CANARYKEY${index}`.padEnd(33, 'x')).toString('base64');
const secrets = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(canary);
const inUrl = 'CANARYCODE';
const attestation = (index: number) => ({
  attestation: { type: 'symmetricKey', primaryKey: canary(index), secondaryKey: canary(index + 1) },
});

/** Keys in places where nobody looks for them; each event is rejected. */
function hidden(): string[] {
  const toaster = (data: object, more: object = {}) => ({
    ...manufactured('thermostat-c7', { product: 'toaster', ...data }),
    ...more,
  });
  const key = canary(10);
  const withKeys = toaster(attestation(9));
  const privateKey = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----`;
  return [
    { ...withKeys, data: JSON.stringify(withKeys.data) },
    toaster({ attestation: JSON.stringify(attestation(9).attestation) }),
    [JSON.stringify(withKeys)],
    JSON.stringify(JSON.stringify(withKeys)),
    toaster({ attestation: { type: 'symmetricKey', primaryKey: { value: key } } }),
    toaster({ primary_key: key, key, keys: [key], symmetricKey: { primary: key } }),
    toaster({ tags: { [key]: 1 } }),
    toaster({ note: `SharedAccessKey=${key}` }),
    toaster({ note: Buffer.from(key, 'base64').toString('hex') }),
    toaster({}, { devicekey: key }),
    toaster({}, { payload: Buffer.from(JSON.stringify(withKeys)).toString('base64') }),
    toaster({ attestation: { type: 'x509', certificate: privateKey } }),
    toaster({ attestation: { type: 'x509', privateKey } }),
    event('device.held', 'sensor-c8', { attestation: { type: 'x509', certificate: privateKey } }),
    event('device.exploded', 'thermostat-c9', { reason: key }),
    { ...withKeys, time: key },
    { ...withKeys, type: undefined },
  ].map((each) => JSON.stringify(each));
}

describe('a day with keys that must be nowhere but in messages and DPS', () => {
  let profiles: ProfilesFile;
  let chain: Chain;
  let written = '';
  beforeAll(async () => {
    const custom = {
      product: 'custom-*',
      enrollment: 'individual',
      attestation: 'symmetricKey',
      allocationPolicy: 'custom',
      customAllocationDefinition: {
        webhookUrl: `https://example.com/a?code=${inUrl}`,
        apiVersion: '2021-10-01',
      },
    };
    profiles = new ProfilesFile(custom);
    chain = await Chain.start({ apps: 0 });
    const app = await startAppProcess({
      endpoints: chain.stack.endpoints,
      env: { ENROLLMENT_PROFILES: profiles.path },
      output: 'pipe',
    });
    app.child.stdout?.on('data', (chunk) => {
      written += chunk;
    });
    app.child.stderr?.on('data', (chunk) => {
      written += chunk;
    });
    chain.apps.push(app);
  });
  afterAll(async () => {
    await chain?.close();
    profiles?.remove();
  });

  it('shows none of them in tables, outcomes, logs, answers or pages', async () => {
    const day: TestEvent[] = [
      manufactured('thermostat-c1', attestation(1), { minutesAgo: 9 }),
      event(
        'device.changed',
        'thermostat-c1',
        { product: 'thermostat-g2', ...attestation(2) },
        { minutesAgo: 8 },
      ),
      event('device.held', 'thermostat-c1', undefined, { minutesAgo: 7 }),
      manufactured('custom-c1', { product: 'custom-1', ...attestation(3) }),
      event('batch.started', 'batch-c1', { product: 'beacon-b2', ...attestation(4) }),
      // Those that are refused: by us, by DPS, and for their repeated id.
      manufactured('thermostat-c2', { product: 'toaster', ...attestation(5) }),
      manufactured('thermostat-c3', { ...attestation(6), tags: { x: 'y'.repeat(100_000) } }),
      manufactured('thermostat-c4', {
        attestation: { type: 'symmetricKey', primaryKey: canary(7), secondaryKey: `${canary(8)}!` },
      }),
      manufactured('thermostat-c5', {
        attestation: { type: 'tpm', endorsementKey: 'AA==', primaryKey: canary(8) },
      }),
      event('device.scrapped', 'thermostat-c1', undefined, { minutesAgo: 1 }),
    ];
    await chain.control('faults', 'PUT', [
      { operation: 'IndividualEnrollment_*', body: 'garbage', count: 2 },
      { operation: 'IndividualEnrollment_*', status: 500, count: 1 },
      { operation: 'EnrollmentGroup_*', body: 'truncated', count: 1 },
    ]);
    await chain.sendToQueue([...day, `{ "primaryKey": "${canary(9)}", broken`, ...hidden()]);
    await chain.ended(day);
    const reuse = { ...day[0]!, data: { product: 'thermostat-g2', ...attestation(9) } };
    await chain.sendToQueue([reuse]);
    await eventually(
      async () => [...chain.listener.outcomes.keys()].some((id) => id.startsWith(`${keyOf(day[0]!)}-reuse`)),
      'the reuse is answered',
    );
    await eventually(
      async () => (await chain.json<{ rejected: object[] }>('/api/rejected')).rejected.length >= 20,
      'what hides keys is rejected',
    );
    const answers: string[] = [];
    for (const each of [
      manufactured('thermostat-c6', { product: 'toaster', ...attestation(5) }),
      day[6]!,
      day[7]!,
    ]) {
      answers.push(await (await chain.post(each)).text());
    }
    const audit = await chain.request('/api/audit/runs', { method: 'POST' });
    await eventually(
      async () =>
        (await chain.json<{ status: string }>(audit.headers.get('location')!)).status === 'finished',
      'the audit finishes',
    );
    const paths = [
      ...['thermostat-c1', 'thermostat-c2', 'thermostat-c3', 'thermostat-c4', 'custom-c1'].map(
        (id) => `/api/devices/${id}`,
      ),
      '/api/batches/batch-c1',
      '/api/devices/thermostat-c1/events',
      '/api/rejected',
      '/api/audit',
      '/api/health/deep',
    ];
    for (const each of paths) {
      for (const accept of ['application/json', 'text/html']) {
        answers.push(await (await chain.request(each, { headers: { accept } })).text());
      }
    }
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism('custom-c1');
    expect(symmetricKey?.primaryKey, 'it is in DPS').toBe(canary(3));

    const tables = await contentsOfTables(chain);
    expect(tables).toContain('custom-c1');
    const places = {
      tables,
      outcomes: JSON.stringify([...chain.listener.outcomes.values()]),
      logs: written,
      answers: answers.join('\n'),
    };
    for (const [place, text] of Object.entries(places)) {
      const inHex = Buffer.from('CANARYKEY').toString('hex');
      const found = [...secrets.map((each) => each.slice(0, 16)), 'CANARY', inHex].filter((each) =>
        text.includes(each),
      );
      expect(found, place).toEqual([]);
    }
    const keys = /SharedAccessKey=([^;]+)/.exec(chain.stack.endpoints.dps.connectionString)![1]!;
    for (const text of Object.values(places)) {
      expect(text).not.toContain(keys);
    }
  });
});
