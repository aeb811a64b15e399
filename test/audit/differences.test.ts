import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FindingCode } from '../../src/audit/finding.ts';
import type { EnrollmentGroup, IndividualEnrollment } from '../../src/dps/models.ts';
import { makeCertificate } from '../dps-client/certificates.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, numbered, phasesOf, workThrough } from '../support/audits.ts';
import { Chain, eventually } from '../support/chain.ts';
import { authorizationFor } from '../support/dps-signature.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { event, keyOf, manufactured } from '../support/events.ts';
import { FaultyProxy, throughProxy } from '../support/proxy.ts';
import { requestsSoFar } from '../support/queue.ts';

const secret = 'webhook-key-0815';

describe('enrollment-differs', () => {
  let chain: Chain;
  let app: AppInstance;
  let proxy: FaultyProxy;
  /** Answers every query of individual enrollments, as DPS does while its index lags. */
  let stale: string | undefined;
  const directory = mkdtempSync(path.join(tmpdir(), 'profiles-'));

  beforeAll(async () => {
    const { profiles } = JSON.parse(readFileSync('src/enrollment-profiles.json', 'utf8'));
    const kiosk = {
      product: 'kiosk-*',
      enrollment: 'individual',
      attestation: 'symmetricKey',
      allocationPolicy: 'custom',
      customAllocationDefinition: {
        webhookUrl: `https://allocate.example.com/a?code=${secret}`,
        apiVersion: '2021-10-01',
      },
    };
    const file = path.join(directory, 'profiles.json');
    writeFileSync(file, JSON.stringify({ profiles: [...profiles, kiosk] }));
    chain = await Chain.start({ apps: 0 });
    proxy = await FaultyProxy.start({
      target: chain.stack.endpoints.dps.endpoint,
      headers: () => authorizationFor(chain),
      fate: () => 'pass',
      answer: ({ path }) =>
        stale !== undefined && path.startsWith('/enrollments/query')
          ? { status: 200, body: stale }
          : undefined,
    });
    app = chain.startInstance({
      env: { ENROLLMENT_PROFILES: file, DPS_CONNECTION_STRING: throughProxy(proxy) },
    });
  });
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
    rmSync(directory, { recursive: true });
  });

  /** What somebody does in the portal. */
  async function change(id: string, changed: Partial<IndividualEnrollment>): Promise<void> {
    const { individualEnrollments } = chain.dps;
    const stored = await individualEnrollments.get(id);
    const attestation = await individualEnrollments.getAttestationMechanism(id);
    await individualEnrollments.createOrUpdate({ ...stored, attestation, ...changed }, { ifMatch: '*' });
  }
  async function changeGroup(id: string, changed: Partial<EnrollmentGroup>): Promise<void> {
    const stored = await chain.dps.enrollmentGroups.get(id);
    const attestation = await chain.dps.enrollmentGroups.getAttestationMechanism(id);
    await chain.dps.enrollmentGroups.createOrUpdate({ ...stored, attestation, ...changed }, { ifMatch: '*' });
  }

  const certificate = async (name: string) => (await makeCertificate({ name: `CN=${name}` })).pem;
  const authority = async () => (await makeCertificate({ name: 'CN=line', ca: true })).pem;

  it('is not there where DPS is as the events and the profiles say, whatever the attestation', async () => {
    await chain.settle(
      manufactured('thermostat-1', { tags: { version: 1, metadata: null } }),
      manufactured('thermostat-2'),
      manufactured('thermostat-3', {}, { minutesAgo: 30 }),
      manufactured('kiosk-1', { product: 'kiosk-k' }),
      manufactured('meter-1', {
        product: 'meter-m',
        attestation: { type: 'tpm', endorsementKey: endorsementKeyOf('meter') },
      }),
      manufactured('gateway-1', {
        product: 'gateway-x',
        attestation: { type: 'x509', certificate: await certificate('gateway-1') },
      }),
      event('batch.started', 'beacons', { product: 'beacon-b2' }),
      event('batch.started', 'sensors', {
        product: 'sensor-s',
        attestation: { type: 'x509', signingCertificate: await authority() },
      }),
      event('batch.started', 'ended', { product: 'beacon-b2' }, { minutesAgo: 30 }),
      manufactured('beacon-1', { product: 'beacon-b2', batch: 'beacons' }, { minutesAgo: 30 }),
      manufactured('beacon-2', { product: 'beacon-b2', batch: 'beacons' }),
      manufactured(
        'sensor-1',
        {
          product: 'sensor-s',
          batch: 'sensors',
          attestation: { type: 'x509', certificate: await certificate('sensor-1') },
        },
        { minutesAgo: 30 },
      ),
    );
    await chain.settle(
      event('device.held', 'beacon-1'),
      event('device.held', 'sensor-1'),
      event('device.held', 'thermostat-2', undefined, { minutesAgo: 1 }),
      event('device.scrapped', 'thermostat-3'),
      event('batch.held', 'sensors', undefined, { minutesAgo: 1 }),
      event('batch.retired', 'ended'),
    );
    const reads = await requestsSoFar(chain, /^(IndividualEnrollment|EnrollmentGroup)_Get/);
    const { findings } = await audit(app);
    expect(findings).toEqual([]);
    // What is as it should be is told by the pages alone.
    expect(await requestsSoFar(chain, /^(IndividualEnrollment|EnrollmentGroup)_Get/)).toBe(reads);
  });

  it('names what somebody changed by hand, and no values of it', async () => {
    await change('thermostat-1', { initialTwin: { tags: { bad: 'idea' } }, provisioningStatus: 'disabled' });
    await change('kiosk-1', {
      customAllocationDefinition: {
        webhookUrl: `https://allocate.example.com/a?code=${secret}-other`,
        apiVersion: '2021-10-01',
      },
    });
    await change('gateway-1', {
      attestation: {
        type: 'x509',
        x509: { clientCertificates: { primary: { certificate: await certificate('gateway-1') } } },
      },
    });
    await changeGroup('beacons', { iotHubs: ['other.azure-devices.net'], provisioningStatus: 'disabled' });
    const { of, detail } = await audited();
    expect(of('enrollment-differs')).toEqual(['beacons', 'gateway-1', 'kiosk-1', 'thermostat-1']);
    expect(detail('thermostat-1')).toContain(
      'The individual enrollment is not as the events and the profile say: initialTwin, provisioningStatus (disabled, not enabled). ',
    );
    expect(detail('kiosk-1')).toContain(': customAllocationDefinition. ');
    expect(detail('gateway-1')).toContain(': attestation. ');
    expect(detail('beacons')).toContain(
      'enrollment group is not as the events and the profile say: provisioningStatus (disabled, not enabled), iotHubs. ',
    );
    expect(detail('beacons')).toContain('Send batch.started');
  });

  it('is gone once it is as it should be again, by an event or by hand', async () => {
    await chain.settle(
      event('device.changed', 'thermostat-1', { product: 'thermostat-g2' }, { minutesAgo: 1 }),
    );
    await chain.settle(event('batch.started', 'beacons', { product: 'beacon-b2' }, { minutesAgo: 1 }));
    const { of, text } = await audited();
    expect(of('enrollment-differs')).toEqual(['gateway-1', 'kiosk-1']);
    expect(text).not.toContain(secret);
  });

  it('tells of enrollments that should not be there, or do not keep out whom they should', async () => {
    await change('beacon-1', { provisioningStatus: 'enabled' });
    await change('sensor-1', {
      attestation: {
        type: 'x509',
        x509: { clientCertificates: { primary: { certificate: await certificate('sensor-1') } } },
      },
    });
    const byHand = { attestation: { type: 'symmetricKey' as const } };
    await chain.dps.individualEnrollments.createOrUpdate({ registrationId: 'Beacon-2', ...byHand });
    await chain.dps.individualEnrollments.createOrUpdate({ registrationId: 'thermostat-3', ...byHand });
    await chain.dps.enrollmentGroups.createOrUpdate({ enrollmentGroupId: 'ended', ...byHand });
    const { of, detail } = await audited();
    expect(of('enrollment-differs')).toEqual(['beacon-2', 'ended', 'gateway-1', 'kiosk-1', 'sensor-1']);
    expect(of('held-yet-open')).toEqual(['beacon-1', 'thermostat-3']);
    expect(detail('beacon-1', 'held-yet-open')).toMatch(
      /The device is held, and its individual .* is enabled/,
    );
    expect(detail('sensor-1')).toContain(': attestation. ');
    expect(detail('beacon-2')).toContain('belongs to a group');
    expect(detail('thermostat-3', 'held-yet-open')).toContain('was scrapped');
    expect(detail('ended')).toContain('was retired');
    expect(of('enrollment-unknown')).toEqual([]);
    await chain.settle(
      event('device.held', 'beacon-1', undefined, { minutesAgo: 0 }),
      event('device.scrapped', 'thermostat-3', undefined, { minutesAgo: 0 }),
      event('batch.retired', 'ended', undefined, { minutesAgo: 0 }),
    );
    await chain.dps.individualEnrollments.delete('beacon-2');
    // What each detail says to send is what mends it.
    const mended = await audited();
    expect(mended.of('enrollment-differs')).toEqual(['gateway-1', 'kiosk-1', 'sensor-1']);
    expect(mended.of('held-yet-open')).toEqual([]);
  });

  it('believes no query that lags, and says nothing of what is not applied yet', async () => {
    await chain.settle(manufactured('thermostat-9', {}, { minutesAgo: 5 }));
    const items: IndividualEnrollment[] = [];
    for await (const each of chain.dps.individualEnrollments.query()) {
      items.push(each);
    }
    await chain.settle(event('device.held', 'thermostat-9', undefined, { minutesAgo: 4 }));
    stale = JSON.stringify(items);
    expect((await audited()).of('enrollment-differs')).not.toContain('thermostat-9');
    stale = undefined;

    await chain.control('faults', 'PUT', [
      { operation: 'IndividualEnrollment_CreateOrUpdate', status: 500, errorCode: 500000 },
    ]);
    const released = event('device.released', 'thermostat-9', undefined, { minutesAgo: 3 });
    await chain.sendToQueue([released]);
    await eventually(async () => {
      const record = await app.services.ledger.readEvent(
        { kind: 'device', id: 'thermostat-9' },
        keyOf(released),
      );
      return record?.status === 'retrying';
    }, 'the release is retried');
    expect((await audited()).of('enrollment-differs')).not.toContain('thermostat-9');
    await chain.control('faults', 'PUT', []);
  });

  it('misses no group that was made after the run had listed them', async () => {
    const run = { ...numbered(9, chain.clock.now()), stage: 'batches' as const };
    await workThrough(run, (read, unit) => phasesOf(app).step(read, unit));
    const found = await app.services.findings.findingsOf(run);
    expect(found.filter(({ code }) => code === 'enrollment-missing')).toEqual([]);
  });

  async function audited() {
    const done = await audit(app);
    const differing = (subject: string, code: FindingCode = 'enrollment-differs') =>
      done.detail(code, subject);
    return {
      of: (code: Parameters<typeof done.subjects>[0]) => done.subjects(code),
      detail: differing,
      text: JSON.stringify(done.findings),
    };
  }
});
