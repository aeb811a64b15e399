import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { RegistrationSnapshot } from '../../src/audit/registration-snapshot.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { audit, switchOn } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';

describe('groups, and whom they let in', () => {
  let chain: Chain;
  let app: AppInstance;
  const directory = mkdtempSync(path.join(tmpdir(), 'profiles-'));

  beforeAll(async () => {
    const file = path.join(directory, 'profiles.json');
    writeFileSync(
      file,
      JSON.stringify({
        profiles: [
          { product: 'lamp-*', enrollment: 'group', enrollmentGroup: 'Lamps', members: 'any' },
          { product: 'beacon-*', enrollment: 'group', attestation: 'symmetricKey' },
          { product: 'badge-*', enrollment: 'group', attestation: 'symmetricKey', members: 'any' },
          { product: 'ghost-*', enrollment: 'group', enrollmentGroup: 'Nowhere' },
          { product: 'thermostat-*', enrollment: 'individual', attestation: 'symmetricKey' },
        ],
      }),
    );
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance({ env: { ENROLLMENT_PROFILES: file } });
    await chain.dps.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'lamps',
      attestation: { type: 'symmetricKey' },
    });
    await chain.settle(
      event('batch.started', 'beacons', { product: 'beacon-1' }, { minutesAgo: 40 }),
      event('batch.started', 'badges', { product: 'badge-1' }, { minutesAgo: 40 }),
    );
  });
  afterAll(async () => {
    await chain?.close();
    rmSync(directory, { recursive: true });
  });

  it('finds the records of members, few or many, alone or among others, and of none but them', async () => {
    const snapshot = new RegistrationSnapshot(app.services.table('registrationStates'));
    const idOf = (device: number) => `d-${String(device).padStart(5, '0')}`;
    const all = Array.from({ length: 5_500 }, (_, device) => idOf(device));
    for (let start = 0; start < all.length; start += 100) {
      const page = all
        .slice(start, start + 100)
        .map((id) => ({ registrationId: id, status: 'assigned' as const }));
      await snapshot.saveGroupPage('Many', 1, page);
    }
    const dense = all.slice(100, 200);
    const sparse = all.filter((_, device) => device % 100 === 7);
    for (const ids of [[idOf(3), 'd-unknown'], dense, sparse, [...dense, ...sparse, 'd-none'], []]) {
      const found = await snapshot.inGroup('many', ids);
      const there = [...new Set(ids)].filter((id) => all.includes(id)).sort();
      expect([...found.keys()].sort()).toEqual(there);
      expect([...found.values()].every(({ status }) => status === 'assigned')).toBe(true);
    }
  }, 60_000);

  it('members any: nobody has to be announced, and nobody has to come', async () => {
    await chain.settle(
      manufactured('lamp-known', { product: 'lamp-1' }, { minutesAgo: 200 * 24 * 60 }),
      manufactured('beacon-late', { product: 'beacon-1', batch: 'beacons' }, { minutesAgo: 200 * 24 * 60 }),
    );
    await switchOn(chain, 'lamp-stranger', 'lamps');
    await switchOn(chain, 'badge-stranger', 'badges');
    await switchOn(chain, 'beacon-stranger', 'beacons');
    const found = await audit(app);
    expect(found.run.scanned.groupRegistrations).toBe(3);
    expect(found.subjects('registered-but-unknown')).toEqual(['beacon-stranger']);
    expect(found.subjects('never-registered')).toEqual(['beacon-late']);
  });

  it('group-missing: a profile or a member names a group that DPS does not have, told once each', async () => {
    await chain.settle(
      ...['1', '2', '3'].map((name) =>
        manufactured(`beacon-lost-${name}`, { product: 'beacon-1', batch: 'never-started' }),
      ),
      manufactured('ghost-1', { product: 'ghost-1' }),
    );
    const found = await audit(app);
    expect(found.subjects('group-missing')).toEqual(['never-started', 'nowhere']);
    expect(found.detail('group-missing', 'nowhere')).toContain('the profile of ghost-* names it');
    await chain.settle(event('batch.started', 'never-started', { product: 'beacon-1' }));
    expect((await audit(app)).subjects('group-missing')).toEqual(['nowhere']);
  });

  it('held-yet-open: a member whose denial is gone, unless its group lets in nobody', async () => {
    await chain.settle(
      manufactured('beacon-held', { product: 'beacon-1', batch: 'beacons' }, { minutesAgo: 30 }),
      event('device.held', 'beacon-held', undefined, { minutesAgo: 20 }),
      event('device.held', 'older-than-this-system', undefined, { minutesAgo: 20 }),
    );
    expect((await audit(app)).of('held-yet-open')).toEqual([]);
    await chain.dps.individualEnrollments.delete('beacon-held');
    await chain.dps.individualEnrollments.delete('older-than-this-system');
    const open = await audit(app);
    expect(open.subjects('held-yet-open')).toEqual(['beacon-held', 'older-than-this-system']);
    expect(open.of('held-yet-open').every(({ severity }) => severity === 'critical')).toBe(true);
    expect(open.detail('held-yet-open', 'beacon-held')).toContain('its group beacons lets it in');
    expect(open.subjects('enrollment-missing')).toEqual([]);
    await chain.settle(event('batch.held', 'beacons', undefined, { minutesAgo: 10 }));
    const shut = await audit(app);
    expect(shut.subjects('held-yet-open')).toEqual(['older-than-this-system']);
    expect(shut.subjects('enrollment-missing')).toEqual(['beacon-held']);
  });

  it('held-yet-open: a held, recalled or unannounced group that somebody enabled', async () => {
    await chain.settle(
      event('batch.recalled', 'badges', undefined, { minutesAgo: 9 }),
      event('batch.held', 'lamps', undefined, { minutesAgo: 9 }),
    );
    const before = await audit(app);
    // The group never-started may still let in what belongs to no group that is known.
    expect(before.subjects('held-yet-open')).toEqual(['older-than-this-system']);
    for (const id of ['badges', 'lamps', 'beacons']) {
      const { etag: _, ...group } = await chain.dps.enrollmentGroups.get(id);
      const attestation = await chain.dps.enrollmentGroups.getAttestationMechanism(id);
      await chain.dps.enrollmentGroups.createOrUpdate(
        { ...group, attestation, provisioningStatus: 'enabled' },
        { ifMatch: '*' },
      );
    }
    const after = await audit(app);
    expect(after.subjects('held-yet-open')).toEqual([
      'badges',
      'beacon-held',
      'beacons',
      'lamps',
      'older-than-this-system',
    ]);
    expect(after.detail('held-yet-open', 'badges')).toContain('The batch was recalled');
    expect(after.subjects('enrollment-differs')).toEqual([]);
  });
});
