import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Adoption, newAdoption } from '../../src/adoption/adoption.ts';
import { ProductFinder } from '../../src/adoption/adoption-rules.ts';
import { makeCertificate } from '../dps-client/certificates.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, switchOn } from '../support/audits.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event } from '../support/events.ts';

const individuals = 12;
const rules = {
  rules: [
    { tag: 'line', value: 'comfort', product: 'thermostat-g2' },
    { tag: 'product' },
    { idPrefix: 'Beacon', product: 'beacon-1' },
    { group: 'lamps', product: 'lamp-1' },
  ],
  products: { 'gateway-7': 'gateway-x' },
};

describe('the adoption of a DPS that is older than this system', () => {
  let chain: Chain;
  let app: AppInstance;
  const directory = mkdtempSync(path.join(tmpdir(), 'profiles-'));

  beforeAll(async () => {
    const { profiles } = JSON.parse(readFileSync('src/enrollment-profiles.json', 'utf8'));
    const file = path.join(directory, 'profiles.json');
    writeFileSync(
      file,
      JSON.stringify({
        profiles: [
          ...profiles,
          { product: 'lamp-*', enrollment: 'group', enrollmentGroup: 'lamps', members: 'any' },
        ],
      }),
    );
    const env = { ENROLLMENT_PROFILES: file, DPS_OPERATIONS_PER_MINUTE: '1000000' };
    chain = await Chain.start({ apps: 1, env });
    app = chain.startInstance();
    const { individualEnrollments, enrollmentGroups } = chain.dps;
    const symmetric = { attestation: { type: 'symmetricKey' as const } };
    const common = {
      allocationPolicy: 'hashed' as const,
      initialTwin: {
        tags: { line: 'comfort', plant: 'brno' },
        properties: { desired: { reportIntervalSeconds: 300 } },
      },
    };
    for (let device = 0; device < individuals; device++) {
      await individualEnrollments.createOrUpdate({
        registrationId: `Old-${device}`,
        deviceId: device === 3 ? 'other-name' : `Old-${device}`,
        ...symmetric,
        ...common,
        ...(device === 4 ? { provisioningStatus: 'disabled' as const } : {}),
      });
    }
    const { pem } = await makeCertificate({ name: 'CN=gateway-7' });
    await individualEnrollments.createOrUpdate({
      registrationId: 'gateway-7',
      attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: pem } } } },
    });
    await individualEnrollments.createOrUpdate({ registrationId: 'nobody-knows', ...symmetric });
    await enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'beacons-2019',
      ...symmetric,
      allocationPolicy: 'hashed',
      initialTwin: { tags: { line: 'location' } },
    });
    await enrollmentGroups.createOrUpdate({ enrollmentGroupId: 'lamps', ...symmetric });
    await switchOn(chain, 'beacon-1', 'beacons-2019');
    await switchOn(chain, 'beacon-2', 'beacons-2019');
    await individualEnrollments.createOrUpdate({
      registrationId: 'beacon-2',
      ...symmetric,
      provisioningStatus: 'disabled',
    });
    await switchOn(chain, 'any-lamp', 'lamps');
    await switchOn(chain, 'Old-1');
  }, 120_000);
  afterAll(async () => {
    await chain?.close();
    rmSync(directory, { recursive: true });
  }, 60_000);

  async function adopt(body: object): Promise<Adoption> {
    const answer = await chain.request('/api/adoptions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(202);
    const url = answer.headers.get('location') ?? '';
    return eventually(async () => {
      const adoption = await chain.json<Adoption>(url);
      return adoption.status !== 'running' && adoption.status !== 'undoing' && adoption;
    }, 'the adoption ends');
  }

  async function writesAndKeyReads(): Promise<number> {
    const { requests } = await chain.stats();
    return Object.entries(requests)
      .filter(([name]) => /CreateOrUpdate|Delete|RunBulk|Attestation/.test(name))
      .reduce((sum, [, statuses]) => sum + Object.values(statuses).reduce((all, count) => all + count, 0), 0);
  }

  const taken = { batches: 1, devices: individuals + 1 + 2 };

  it('says in a dry run what it would take and what not, and takes nothing', async () => {
    const dry = await adopt({ ...rules, dryRun: true });
    expect(dry).toMatchObject({
      status: 'finished',
      scanned: { enrollmentGroups: 2, groupRegistrations: 3, individualEnrollments: individuals + 3 },
      welcome: 2,
      leftOut: { 'no-product': { count: 1, examples: ['nobody-knows'] } },
      known: 0,
    });
    expect(dry.profileDiffers.byMember).toMatchObject({ capabilities: 1 });
    expect(await app.services.ledger.readState({ kind: 'device', id: 'old-1' })).toBeUndefined();
  });

  it('makes day two quiet, changes nothing in DPS and reads no key, by pages alone', async () => {
    const before = await writesAndKeyReads();
    const adopted = await adopt(rules);
    expect(adopted).toMatchObject({ status: 'finished', taken });
    // A page of groups, one of each group's registrations, one of enrollments.
    expect(adopted.operations).toBe(4);
    expect(await writesAndKeyReads()).toBe(before);
    const found = await audit(app);
    expect(found.findings.map(({ code, subject }) => `${code} ${subject}`)).toEqual([
      'disabled-yet-assigned beacon-2',
      'enrollment-differs gateway-7',
      'enrollment-unknown nobody-knows',
    ]);
    const { shouldBe } = await chain.json<{ shouldBe: Record<string, unknown> }>('/api/devices/old-4');
    expect(shouldBe).toMatchObject({
      product: 'thermostat-g2',
      provisioningStatus: 'disabled',
      life: 'manufactured',
      inSync: true,
    });
  }, 120_000);

  it('is idempotent', async () => {
    const again = await adopt(rules);
    expect(again).toMatchObject({ status: 'finished', taken: { batches: 0, devices: 0 } });
    expect(again.known).toBe(taken.batches + taken.devices);
    expect(again.contradicts.count).toBe(1);
  });

  it('is known to later events, which keep keys and certificates', async () => {
    const keys = await chain.dps.individualEnrollments.getAttestationMechanism('old-5');
    await chain.settle(
      event('device.held', 'OLD-5'),
      event('device.held', 'gateway-7'),
      event('device.released', 'beacon-2', undefined, { minutesAgo: 0 }),
      event('device.scrapped', 'old-6'),
    );
    const held = await chain.dps.individualEnrollments.get('old-5');
    expect(held).toMatchObject({ provisioningStatus: 'disabled', deviceId: 'Old-5' });
    expect(held.initialTwin?.tags).toMatchObject({ plant: 'brno' });
    expect(await chain.dps.individualEnrollments.getAttestationMechanism('old-5')).toEqual(keys);
    const gateway = await chain.dps.individualEnrollments.get('gateway-7');
    expect(gateway.provisioningStatus).toBe('disabled');
    expect(gateway.attestation.x509?.clientCertificates?.primary?.info?.subjectName).toBe('CN=gateway-7');
    const left = await chain.enrollments();
    expect(left.has('beacon-2')).toBe(false);
    expect(left.has('old-6')).toBe(false);
  });

  it('is undone as far as no event has come since', async () => {
    const { adoptedBy } = (await app.services.ledger.readState({ kind: 'device', id: 'old-1' })) ?? {};
    const undone = await adopt({ undo: adoptedBy });
    expect(undone).toMatchObject({
      status: 'undone',
      undone: { removed: taken.batches + taken.devices - 4, kept: 4 },
    });
    expect(await app.services.ledger.readState({ kind: 'device', id: 'old-1' })).toBeUndefined();
    expect((await chain.json<{ devices: unknown[] }>('/api/devices?q=old-')).devices).toHaveLength(2);
    const twice = await chain.request('/api/adoptions', {
      method: 'POST',
      body: JSON.stringify({ undo: adoptedBy }),
    });
    expect(twice.status).toBe(409);
  });

  it('counts exactly and takes each once, whatever stops it and whatever DPS refuses', async () => {
    const { clock, ledger } = app.services;
    await chain.control('seed', 'POST', { groups: 1, registrationsPerGroup: 250 });
    const withSeeded = new ProductFinder({
      rules: [...rules.rules, { group: 'seed-group-0', product: 'beacon-1' }],
    });
    let adoption = newAdoption(clock.now(), false);
    for (let step = 0; adoption.checkpoint.phase !== 'done'; step++) {
      const { checkpoint } = adoption;
      if (
        checkpoint.phase === 'registrations' &&
        checkpoint.continuation !== undefined &&
        adoption.restarts < 2
      ) {
        await chain.control('faults', 'PUT', [
          { operation: 'DeviceRegistrationState_Query', status: 400, count: 1 },
        ]);
      } else if (step % 2 === 0) {
        // As if it had been stopped before this page was saved.
        await app.services.adopter.step(adoption, withSeeded);
      }
      adoption = await app.services.adopter.step(adoption, withSeeded);
    }
    expect(adoption.restarts).toBe(2);
    expect(adoption.scanned.groupRegistrations).toBe(250 + 3);
    let taken = 0;
    for (let device = 0; device < 250; device++) {
      const state = await ledger.readState({ kind: 'device', id: `seed-0-${device}` });
      taken += state?.adoptedBy === adoption.id ? 1 : 0;
    }
    expect(taken).toBe(250);
    // The seeded members, whose group has the tag of another product, and what was undone before.
    expect(adoption.taken).toEqual({ batches: 1, devices: 250 + individuals - 2 + 1 });
  }, 120_000);

  it('refuses what names no product', async () => {
    for (const body of [{}, { rules: [] }, { rules: [{ idPrefix: 'x' }] }, { undo: '' }]) {
      const answer = await chain.request('/api/adoptions', { method: 'POST', body: JSON.stringify(body) });
      expect(answer.status).toBe(400);
    }
    expect((await chain.request('/api/adoptions/none')).status).toBe(404);
  });
});
