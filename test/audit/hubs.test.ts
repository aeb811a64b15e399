import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { AppInstance } from '../support/app-instance.ts';
import { audit, switchOn } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';
import { requestsSoFar } from '../support/queue.ts';

const [east, west] = ['east.azure-devices.net', 'west.azure-devices.net'];

describe('where devices are', () => {
  let chain: Chain;
  let app: AppInstance;
  const directory = mkdtempSync(path.join(tmpdir(), 'profiles-'));

  beforeAll(async () => {
    const { profiles } = JSON.parse(readFileSync('src/enrollment-profiles.json', 'utf8'));
    const hubs = { attestation: 'symmetricKey', allocationPolicy: 'hashed', iotHubs: [east.toUpperCase()] };
    const file = path.join(directory, 'profiles.json');
    writeFileSync(
      file,
      JSON.stringify({
        profiles: [
          ...profiles,
          { product: 'camera-*', enrollment: 'individual', ...hubs },
          { product: 'tag-*', enrollment: 'group', ...hubs },
        ],
      }),
    );
    chain = await Chain.start({ apps: 0 });
    await chain.control('hubs', 'PUT', [{ hostName: east }]);
    app = chain.startInstance({ env: { ENROLLMENT_PROFILES: file } });
  });
  afterAll(async () => {
    await chain?.close();
    rmSync(directory, { recursive: true });
  });

  const newest = { minutesAgo: 0 };

  it('disabled-yet-assigned: held, scrapped or in a recalled batch, and still connected', async () => {
    await chain.settle(
      ...['held', 'scrapped', 'gone', 'free', 'never'].map((name) =>
        manufactured(`thermostat-${name}`, {}, { minutesAgo: 30 }),
      ),
      event('batch.started', 'recalled', { product: 'beacon-b' }, { minutesAgo: 30 }),
      event('batch.started', 'open', { product: 'beacon-b' }, { minutesAgo: 30 }),
      manufactured('beacon-recalled', { product: 'beacon-b', batch: 'recalled' }, { minutesAgo: 30 }),
      manufactured('beacon-held', { product: 'beacon-b', batch: 'open' }, { minutesAgo: 30 }),
      manufactured('beacon-free', { product: 'beacon-b', batch: 'open' }, { minutesAgo: 30 }),
    );
    await chain.settle(event('device.scrapped', 'thermostat-gone'));
    for (const name of ['held', 'scrapped', 'free']) {
      await switchOn(chain, `thermostat-${name}`);
    }
    await switchOn(chain, 'beacon-recalled', 'recalled');
    await switchOn(chain, 'beacon-held', 'open');
    await switchOn(chain, 'beacon-free', 'open');
    expect((await audit(app)).of('disabled-yet-assigned')).toEqual([]);

    await chain.settle(
      event('device.held', 'thermostat-held'),
      event('device.held', 'thermostat-never'),
      // Ten minutes ago, before it registered: its record stays.
      event('device.scrapped', 'thermostat-scrapped'),
      event('device.held', 'beacon-held'),
      event('batch.recalled', 'recalled'),
    );
    const { of, subjects, detail, found } = await audited();
    expect(subjects).toEqual(['beacon-held', 'beacon-recalled', 'thermostat-held', 'thermostat-scrapped']);
    expect(of('disabled-yet-assigned').every(({ severity }) => severity === 'warning')).toBe(true);
    expect(detail('thermostat-held')).toMatch(/^The device is held, and had been assigned to east\.azure/);
    expect(detail('thermostat-held')).toContain(`Disable the identity thermostat-held in ${east}.`);
    expect(detail('thermostat-scrapped')).toContain('was scrapped');
    expect(detail('beacon-recalled')).toContain('belongs to the batch recalled, which was recalled');
    expect(found.of('enrollment-differs')).toEqual([]);
  });

  it('is there while the record names a hub, also once the device has knocked in vain', async () => {
    expect(await switchOn(chain, 'thermostat-held')).toMatchObject({ status: 'disabled' });
    expect(await switchOn(chain, 'beacon-held', 'open')).toMatchObject({ status: 'disabled' });
    expect(await switchOn(chain, 'beacon-recalled', 'recalled')).toMatchObject({ status: 'disabled' });
    expect((await chain.dps.deviceRegistrationStates.get('thermostat-held')).assignedHub).toBeUndefined();
    const { subjects } = await audited();
    expect(subjects).toEqual(['beacon-held', 'beacon-recalled', 'thermostat-held', 'thermostat-scrapped']);
    await chain.dps.deviceRegistrationStates.delete('thermostat-scrapped');
    await chain.settle(
      event('device.returned', 'beacon-held', undefined, newest),
      event('device.released', 'beacon-recalled', undefined, newest),
    );
    expect(await switchOn(chain, 'beacon-held', 'open')).toMatchObject({ status: 'disabled' });
    // Its record was deleted: that it knocked again says nothing of a hub.
    expect((await audited()).subjects).toEqual(['beacon-recalled', 'thermostat-held']);
    await chain.settle(event('device.released', 'thermostat-held', undefined, newest));
    expect((await audited()).subjects).toEqual(['beacon-recalled']);
  });

  it('costs a scrapped device one question, and then none', async () => {
    const states = /^DeviceRegistrationState_Get/;
    await audit(app);
    const before = await requestsSoFar(chain, states);
    const { run } = await audit(app);
    // Neither thermostat-gone nor thermostat-scrapped, whose record is gone by now.
    expect((await requestsSoFar(chain, states)) - before).toBe(run.scanned.individualStates);
  });

  it('wrong-hub: at a hub that the profile does not name', async () => {
    await chain.settle(
      manufactured('camera-1', { product: 'camera-c' }),
      manufactured('camera-2', { product: 'camera-c' }),
      event('batch.started', 'tags', { product: 'tag-t' }),
      manufactured('tag-1', { product: 'tag-t', batch: 'tags' }),
      manufactured('thermostat-any'),
    );
    await switchOn(chain, 'camera-2');
    await chain.control('hubs', 'PUT', [{ hostName: west }]);
    const everywhere = async (id: string) => {
      const stored = await chain.dps.individualEnrollments.get(id);
      const attestation = await chain.dps.individualEnrollments.getAttestationMechanism(id);
      const { iotHubs: _, ...rest } = { ...stored, attestation };
      await chain.dps.individualEnrollments.createOrUpdate(rest, { ifMatch: '*' });
      await switchOn(chain, id);
      await chain.dps.individualEnrollments.createOrUpdate({ ...stored, attestation }, { ifMatch: '*' });
    };
    await everywhere('camera-1');
    const stored = await chain.dps.enrollmentGroups.get('tags');
    const attestation = await chain.dps.enrollmentGroups.getAttestationMechanism('tags');
    const { iotHubs: _, ...rest } = { ...stored, attestation };
    await chain.dps.enrollmentGroups.createOrUpdate(rest, { ifMatch: '*' });
    await switchOn(chain, 'tag-1', 'tags');
    await chain.dps.enrollmentGroups.createOrUpdate({ ...stored, attestation }, { ifMatch: '*' });
    await switchOn(chain, 'thermostat-any');
    const found = await audit(app);
    expect(found.subjects('wrong-hub')).toEqual(['camera-1', 'tag-1']);
    expect(found.detail('wrong-hub', 'camera-1')).toContain(`assigned to ${west}`);
    expect(found.detail('wrong-hub', 'camera-1')).toContain(`names ${east.toUpperCase()}`);
    expect(found.of('enrollment-differs')).toEqual([]);

    await chain.control('hubs', 'PUT', [{ hostName: east }]);
    await switchOn(chain, 'camera-1');
    expect((await audit(app)).subjects('wrong-hub')).toEqual(['tag-1']);
    await chain.settle(event('device.held', 'camera-1', undefined, newest));
    expect((await audit(app)).subjects('wrong-hub')).toEqual(['tag-1']);
  });

  async function audited() {
    const found = await audit(app);
    return {
      found,
      of: found.of.bind(found),
      subjects: found.subjects('disabled-yet-assigned'),
      detail: (subject: string) => found.detail('disabled-yet-assigned', subject),
    };
  }
});

describe('registers-again-and-again', () => {
  let chain: Chain;
  let app: AppInstance;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    app = chain.startInstance();
  });
  afterAll(() => chain?.close());

  it('is noted at the fourth audit that sees a newer record than the one before, and ends with the first that does not', async () => {
    await chain.settle(
      manufactured('thermostat-restless'),
      manufactured('thermostat-calm'),
      manufactured('thermostat-twice'),
      manufactured('thermostat-held'),
      event('batch.started', 'beacons', { product: 'beacon-b' }),
      manufactured('beacon-restless', { product: 'beacon-b', batch: 'beacons' }),
    );
    await chain.settle(event('device.held', 'thermostat-held'));
    await switchOn(chain, 'thermostat-calm');
    const restless: string[][] = [];
    for (let number = 1; number <= 5; number++) {
      await switchOn(chain, 'thermostat-restless');
      await switchOn(chain, 'thermostat-held');
      await switchOn(chain, 'beacon-restless', 'beacons');
      if (number !== 3) {
        await switchOn(chain, 'thermostat-twice');
      }
      const found = await audit(app);
      expect(found.run.number).toBe(number);
      restless.push(found.subjects('registers-again-and-again'));
      if (number === 4) {
        const detail = found.detail('registers-again-and-again', 'thermostat-restless');
        expect(detail).toMatch(/between each of the last 4 audits: (\S+Z, ){3}\S+Z\. /);
        expect(found.of('registers-again-and-again')[0]?.severity).toBe('warning');
      }
    }
    const both = ['beacon-restless', 'thermostat-restless'];
    expect(restless).toEqual([[], [], [], both, both]);
    await switchOn(chain, 'beacon-restless', 'beacons');
    expect((await audit(app)).subjects('registers-again-and-again')).toEqual(['beacon-restless']);
  });
});
