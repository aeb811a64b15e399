import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { FindingCode } from '../../src/audit/finding.ts';
import { makeCertificate } from '../dps-client/certificates.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, switchOn } from '../support/audits.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';

const hour = 3_600_000;
const day = 24 * hour;
const minutesADay = 1_440;
const [east, west] = ['east.azure-devices.net', 'west.azure-devices.net'];

interface Trouble {
  readonly code: FindingCode;
  readonly subjects: readonly string[];
  /** Makes the trouble, and nothing else. */
  seed(): Promise<unknown>;
}

/** `quota-nearly-used` needs 900,000 records: capacity.test.ts has a smaller instance for it. */
describe('a fleet with each kind of finding', () => {
  let chain: Chain;
  let app: AppInstance;
  let shared = '';
  const directory = mkdtempSync(path.join(tmpdir(), 'profiles-'));
  const file = path.join(directory, 'profiles.json');
  const expected: string[] = [];

  beforeAll(async () => {
    const { profiles } = JSON.parse(readFileSync('src/enrollment-profiles.json', 'utf8'));
    const camera = { ...profiles[0], product: 'camera-*', iotHubs: [east] };
    writeFileSync(file, JSON.stringify({ profiles: [...profiles, camera] }));
    chain = await Chain.start({
      apps: 0,
      env: { ENROLLMENT_PROFILES: file, DPS_OPERATIONS_PER_MINUTE: '1000000' },
    });
    chain.clock.turn(-28 * hour);
    app = chain.startInstance();
    await loseAnEvent();
    chain.advance(28 * hour);
    app = chain.startInstance();
    await chain.settle(
      event('batch.started', 'beacons', { product: 'beacon-b' }, { minutesAgo: 40 * minutesADay }),
    );
  }, 60_000);

  afterAll(async () => {
    await chain?.close();
    rmSync(directory, { recursive: true });
  }, 60_000);

  /** Its message holds the keys, and is gone: nobody can apply it. */
  async function loseAnEvent(): Promise<void> {
    const key = Buffer.alloc(48, 7).toString('base64');
    const keys = { type: 'symmetricKey', primaryKey: key, secondaryKey: key };
    await chain.control('faults', 'PUT', [{ operation: 'IndividualEnrollment_*', status: 503 }]);
    await chain.sendToQueue([
      manufactured('thermostat-lost', { attestation: keys }, { minutesAgo: 28 * 60 + 5 }),
    ]);
    const subject = { kind: 'device', id: 'thermostat-lost' } as const;
    await eventually(
      async () => (await app.services.ledger.readState(subject))?.pending.length === 1,
      'the event is merged',
    );
    await app.close();
    chain.instances.splice(chain.instances.indexOf(app), 1);
    await chain.control('faults', 'PUT', []);
    chain.advance(hour);
    const receiver = chain.serviceBus.createReceiver('manufacturing-events', {
      receiveMode: 'receiveAndDelete',
    });
    await receiver.receiveMessages(10, { maxWaitTimeInMs: 5_000 });
    await receiver.close();
    chain.advance(-hour);
  }

  const long = { minutesAgo: 200 * minutesADay };
  const lately = { minutesAgo: 30 };
  const individualEnrollments = () => chain.dps.individualEnrollments;

  async function withKeys(id: string) {
    const stored = await individualEnrollments().get(id);
    const attestation = await individualEnrollments().getAttestationMechanism(id);
    return { ...stored, attestation };
  }

  const certificateOf = async (name: string, lastsMs: number) =>
    (await makeCertificate({ name: `CN=${name}`, notAfter: new Date(Date.now() + lastsMs) })).pem;

  const troubles: readonly Trouble[] = [
    { code: 'not-applied', subjects: ['thermostat-lost'], seed: async () => {} },
    {
      code: 'registered-but-unknown',
      subjects: ['beacon-stranger'],
      seed: () => switchOn(chain, 'beacon-stranger', 'beacons'),
    },
    {
      code: 'held-yet-open',
      subjects: ['beacon-open'],
      seed: async () => {
        await chain.settle(
          manufactured('beacon-open', { product: 'beacon-b', batch: 'beacons' }, { minutesAgo: 40 }),
          event('device.held', 'beacon-open', undefined, lately),
        );
        await individualEnrollments().delete('beacon-open');
      },
    },
    {
      code: 'disabled-yet-assigned',
      subjects: ['thermostat-held'],
      seed: async () => {
        await chain.settle(manufactured('thermostat-held', {}, { minutesAgo: 40 }));
        await switchOn(chain, 'thermostat-held');
        await chain.settle(event('device.held', 'thermostat-held', undefined, lately));
      },
    },
    {
      code: 'enrollment-missing',
      subjects: ['thermostat-gone'],
      seed: async () => {
        await chain.settle(manufactured('thermostat-gone', {}, lately));
        await individualEnrollments().delete('thermostat-gone');
      },
    },
    {
      code: 'group-missing',
      subjects: ['never-started'],
      seed: () =>
        chain.settle(manufactured('beacon-lost', { product: 'beacon-b', batch: 'never-started' }, lately)),
    },
    {
      code: 'enrollment-differs',
      subjects: ['thermostat-changed'],
      seed: async () => {
        await chain.settle(manufactured('thermostat-changed', {}, lately));
        const stored = await withKeys('thermostat-changed');
        const initialTwin = { tags: { by: 'hand' } };
        await individualEnrollments().createOrUpdate({ ...stored, initialTwin }, { ifMatch: '*' });
      },
    },
    {
      code: 'enrollment-unknown',
      subjects: ['made-by-hand'],
      seed: () =>
        individualEnrollments().createOrUpdate({
          registrationId: 'made-by-hand',
          attestation: { type: 'symmetricKey' },
        }),
    },
    {
      code: 'registration-failed',
      subjects: ['thermostat-failed'],
      seed: async () => {
        await chain.settle(manufactured('thermostat-failed', {}, lately));
        await chain.control('hubs', 'PUT', []);
        await switchOn(chain, 'thermostat-failed').catch(() => {});
        await chain.control('hubs', 'PUT', [{ hostName: east }, { hostName: west }]);
      },
    },
    {
      code: 'never-registered',
      subjects: ['thermostat-unseen'],
      seed: () => chain.settle(manufactured('thermostat-unseen', {}, long)),
    },
    {
      code: 'wrong-hub',
      subjects: ['camera-1'],
      seed: async () => {
        await chain.settle(manufactured('camera-1', { product: 'camera-1' }, lately));
        const stored = await withKeys('camera-1');
        const { iotHubs: _, etag: __, ...anywhere } = stored;
        await individualEnrollments().createOrUpdate(anywhere, { ifMatch: '*' });
        await chain.control('hubs', 'PUT', [{ hostName: west }]);
        await switchOn(chain, 'camera-1');
        await chain.control('hubs', 'PUT', [{ hostName: east }, { hostName: west }]);
        const { etag: ___, ...before } = stored;
        await individualEnrollments().createOrUpdate(before, { ifMatch: '*' });
      },
    },
    {
      code: 'certificate-expires-soon',
      subjects: ['gateway-soon'],
      seed: async () => {
        const certificate = await certificateOf('gateway-soon', 10 * day);
        const attestation = { type: 'x509', certificate };
        await chain.settle(manufactured('gateway-soon', { product: 'gateway-x', attestation }, lately));
      },
    },
    {
      code: 'certificate-expired',
      subjects: ['gateway-late'],
      seed: async () => {
        const certificate = await certificateOf('gateway-late', 5_000);
        const attestation = { type: 'x509', certificate };
        await chain.settle(manufactured('gateway-late', { product: 'gateway-x', attestation }, lately));
        await eventually(async () => Date.now() > endOf(certificate), 'the certificate ends');
      },
    },
    {
      code: 'certificate-shared',
      get subjects() {
        return [shared];
      },
      seed: async () => {
        const certificate = await certificateOf('shared', 90 * day);
        const attestation = {
          type: 'x509',
          x509: { clientCertificates: { primary: { certificate } } },
        } as const;
        for (const registrationId of ['twin-1', 'twin-2']) {
          const made = await individualEnrollments().createOrUpdate({ registrationId, attestation });
          shared = made.attestation.x509?.clientCertificates?.primary?.info?.sha256Thumbprint ?? '';
          expected.push(`enrollment-unknown ${registrationId}`);
        }
      },
    },
    {
      code: 'group-limit',
      subjects: ['symmetric-key enrollment groups'],
      seed: () => chain.control('seed', 'POST', { groups: 90 }),
    },
  ];

  it('has each found once it is there, beside those that were there before, and no other', async () => {
    for (const trouble of troubles) {
      await trouble.seed();
      expected.push(...trouble.subjects.map((subject) => `${trouble.code} ${subject}`));
      const { findings } = await audit(app);
      expect(findings.map(told).sort()).toEqual([...expected].sort());
    }
  }, 120_000);

  it('has a device found that registers between all audits', async () => {
    await chain.settle(manufactured('thermostat-restless', {}, lately));
    for (let number = 1; number <= 4; number++) {
      await switchOn(chain, 'thermostat-restless');
      expected.push(...(number === 4 ? ['registers-again-and-again thermostat-restless'] : []));
      const { findings } = await audit(app);
      expect(findings.map(told).sort()).toEqual([...expected].sort());
    }
  }, 60_000);

  it('is told the same by the timer of the host, two of them at once, whatever stops and changes meanwhile', async () => {
    await app.close();
    chain.instances.splice(chain.instances.indexOf(app), 1);
    await Promise.all([1, 2, 3].map(() => chain.startApp()));
    await chain.settle(manufactured('thermostat-late', {}, lately));
    await switchOn(chain, 'thermostat-restless');
    await chain.control('faults', 'PUT', [
      // Slow enough to be stopped in the midst of it, and one continuation is refused.
      { operation: 'DeviceRegistrationState_Query', status: 400, count: 1, rate: 0.2, seed: 3 },
      { operation: '*_Query', latencyMs: 150 },
    ]);
    const before = await newestRun();
    await Promise.all(chain.apps.map((each) => fireTimer(each.url)));
    await eventually(async () => (await runs()).some(({ status }) => status === 'running'), 'a run begins');
    for (const killed of [...chain.apps]) {
      await killed.kill();
      chain.apps.splice(chain.apps.indexOf(killed), 1);
      await chain.startApp();
      // What the app had taken that was stopped comes again when its locks are over.
      chain.advance(6 * 60_000);
    }
    await switchOn(chain, 'thermostat-late');
    await chain.dps.enrollmentGroups.delete('seed-group-89');
    await eventually(async () => (await newestRun()) !== before, 'the run ends', 90_000);
    const started = (await runs()).filter(({ id }) => id > (before ?? ''));
    expect(started.map(({ status }) => status)).toEqual(['finished']);
    const report = await chain.json<{ findings: { code: string; subject: string }[] }>('/api/audit');
    expect(report.findings.map(told).sort()).toEqual([...expected].sort());
  }, 120_000);

  async function runs(): Promise<{ id: string; status: string }[]> {
    return (await chain.json<{ runs: { id: string; status: string }[] }>('/api/audit/runs')).runs;
  }

  async function newestRun(): Promise<string | undefined> {
    return (await runs()).find(({ status }) => status === 'finished')?.id;
  }

  function fireTimer(url: string): Promise<Response> {
    return fetch(`${url}/admin/functions/audit`, {
      method: 'POST',
      headers: { 'x-functions-key': chain.stack.endpoints.keys.master, 'content-type': 'application/json' },
      body: '{"input":""}',
    });
  }
});

function told({ code, subject }: { readonly code: string; readonly subject: string }): string {
  return `${code} ${subject}`;
}

function endOf(pem: string): number {
  return Date.parse(new X509Certificate(pem).validTo);
}
