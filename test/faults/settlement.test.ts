import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { provisioningOf } from '../../src/local/devices/provisioning.ts';
import { registerDevice } from '../../src/local/devices/simulated-device.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { ProfilesFile } from '../support/profiles-file.ts';
import { allQuiet, endedInTurnedTime, requestsSoFar } from '../support/queue.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const keys = (byte: number) => ({
  attestation: { type: 'symmetricKey', primaryKey: key(byte), secondaryKey: key(byte + 1) },
});
/** Its profile names an API version that DPS does not know, which only DPS finds out. */
const refused = { product: 'broken-1' };

describe(`what DPS says of single events (SEED=${seed})`, () => {
  let chain: Chain;
  const random = new Random(seed);
  let profiles: ProfilesFile;
  beforeAll(async () => {
    const broken = {
      product: 'broken-*',
      enrollment: 'individual',
      attestation: 'symmetricKey',
      allocationPolicy: 'custom',
      customAllocationDefinition: { webhookUrl: 'https://example.com/a', apiVersion: '2001-01-01' },
    };
    const brokenGroup = { ...broken, product: 'brokengroup-*', enrollment: 'group' };
    profiles = new ProfilesFile(broken, brokenGroup);
    chain = await Chain.start({ apps: 0, env: { ENROLLMENT_PROFILES: profiles.path } });
    chain.startInstance();
    chain.startInstance();
  });
  afterAll(async () => {
    await chain?.close();
    profiles?.remove();
  });

  /** Turns the clock until all have ended: what waits for another event comes again soon. */
  async function settled(events: readonly TestEvent[]): Promise<void> {
    await endedInTurnedTime(chain, events);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
    expect(chain.instances.flatMap(({ thrown }) => thrown)).toEqual([]);
  }
  const record = (sent: TestEvent) => chain.recordOf(sent);

  it('a definition that DPS refuses ends with its words, and the older one takes effect, in any order', async () => {
    const lives = Array.from({ length: 24 }, (_, index) => {
      const id = `thermostat-refused-${index}`;
      const withKeys = index % 2 === 0;
      const good = manufactured(
        id,
        { tags: { good: index }, ...(withKeys ? keys(index) : {}) },
        { minutesAgo: 9 },
      );
      const bad = event(
        'device.changed',
        id,
        { ...refused, ...(index % 3 === 0 ? keys(100) : {}) },
        { minutesAgo: 8 },
      );
      const held = event('device.held', id, undefined, { minutesAgo: 7 });
      return { id, good, bad, held, index, withKeys };
    });
    const events = lives.flatMap(({ good, bad, held }) => [good, bad, held]);
    await chain.sendToQueue(random.shuffled(events));
    await settled(events);
    for (const { id, good, bad, held, index, withKeys } of lives) {
      expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({
        provisioningStatus: 'disabled',
        initialTwin: { tags: { good: index } },
      });
      if (withKeys) {
        const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism(id);
        expect(symmetricKey, id).toEqual({ primaryKey: key(index), secondaryKey: key(index + 1) });
      }
      expect(chain.outcomeOf(held)?.type).toBe('enrollment.succeeded');
      expect(chain.outcomeOf(good)?.type, id).toBe('enrollment.succeeded');
      expect(await record(bad), id).toMatchObject({
        status: 'rejected',
        reason: 'dps-rejected',
        detail: expect.stringMatching(/^4\d{5}: /),
        trackingId: expect.stringMatching(/\w/),
      });
    }
  });

  it('a refused first definition leaves nothing behind, and a mended one makes the device', async () => {
    const bad = manufactured('thermostat-mended', refused, { minutesAgo: 9 });
    await chain.sendToQueue([bad]);
    await settled([bad]);
    expect((await chain.enrollments()).has('thermostat-mended')).toBe(false);
    const good = manufactured('thermostat-mended', { tags: { small: 1 } }, { minutesAgo: 8 });
    await chain.sendToQueue([good]);
    await settled([good]);
    expect(await chain.dps.individualEnrollments.get('thermostat-mended')).toMatchObject({
      initialTwin: { tags: { small: 1 } },
    });
  });

  it('a group that DPS refuses is rejected, too, and never made', async () => {
    const bad = event('batch.started', 'batch-refused', { product: 'brokengroup-1' });
    await chain.sendToQueue([bad]);
    await settled([bad]);
    expect(await record(bad)).toMatchObject({ reason: 'dps-rejected' });
    await expect(chain.dps.enrollmentGroups.get('batch-refused')).rejects.toMatchObject({ statusCode: 404 });
  });

  it('of a bulk with three bad items seven are made and three rejected by name, in any order', async () => {
    const devices = random.shuffled(
      Array.from({ length: 10 }, (_, index) =>
        manufactured(`thermostat-bulk-${index}`, {
          product: index < 3 ? 'broken-1' : 'thermostat-g2',
          tags: { index },
        }),
      ),
    );
    await chain.sendToQueue(devices);
    await settled(devices);
    const made = [...(await chain.enrollments()).keys()].filter((id) => id.startsWith('thermostat-bulk-'));
    expect(made.sort()).toEqual([3, 4, 5, 6, 7, 8, 9].map((index) => `thermostat-bulk-${index}`));
    for (const each of devices) {
      const isBad = /-[012]$/.test(each.subject);
      expect(await record(each)).toMatchObject(
        isBad
          ? { status: 'rejected', reason: 'dps-rejected', detail: expect.stringContaining(each.subject) }
          : { status: 'succeeded' },
      );
    }
  });

  it('other events of a device wait, retrying, until the event that brings its keys has been applied', async () => {
    const id = 'thermostat-waits';
    const born = manufactured(id, keys(60), { minutesAgo: 9 });
    const changed = event(
      'device.changed',
      id,
      { product: 'thermostat-g2', tags: { later: 1 } },
      { minutesAgo: 8 },
    );
    const held = event('device.held', id, undefined, { minutesAgo: 7 });
    await chain.control('faults', 'PUT', [{ operation: 'IndividualEnrollment_*', status: 500, count: 3 }]);
    await chain.sendToQueue([born]);
    const retrying = async (sent: TestEvent) => (await record(sent))?.status === 'retrying';
    for (let step = 0; step < 40 && !(await retrying(born)); step++) {
      chain.advance(200);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const calls = await requestsSoFar(chain, /IndividualEnrollment/);
    await chain.sendToQueue([changed, held]);
    await eventually(async () => (await retrying(changed)) && (await retrying(held)), 'both wait');
    expect((await record(held))?.detail).toContain(keyOf(born));
    expect(await requestsSoFar(chain, /IndividualEnrollment/)).toBe(calls);
    await settled([born, changed, held]);
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism(id);
    expect(symmetricKey).toEqual({ primaryKey: key(60), secondaryKey: key(61) });
    expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({
      provisioningStatus: 'disabled',
      initialTwin: { tags: { later: 1 } },
    });
  });

  it('keys whose event is refused are forgotten, and hold nobody up', async () => {
    const id = 'thermostat-forgotten';
    const bad = manufactured(id, { ...refused, ...keys(70) }, { minutesAgo: 9 });
    const good = event('device.changed', id, { product: 'thermostat-g2' }, { minutesAgo: 10 });
    await chain.sendToQueue([bad, good]);
    await settled([bad, good]);
    expect(chain.outcomeOf(good)?.type).toBe('enrollment.succeeded');
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism(id);
    expect(symmetricKey?.primaryKey).not.toBe(key(70));
  });

  it.each(['before', 'after'])(
    'a connection that breaks %s the change is no double effect',
    async (reset) => {
      const devices = Array.from({ length: 10 }, (_, index) =>
        manufactured(`thermostat-lost-${reset}-${index}`),
      );
      const group = event('batch.started', `batch-lost-${reset}`, { product: 'beacon-b2' });
      await chain.control('faults', 'PUT', [{ operation: '*', reset, count: 3 }]);
      await chain.sendToQueue([...devices, group]);
      await settled([...devices, group]);
      const enrollments = await chain.enrollments();
      for (const { subject } of devices) {
        const { createdDateTimeUtc, lastUpdatedDateTimeUtc } = enrollments.get(subject)!;
        expect(lastUpdatedDateTimeUtc, 'written once').toBe(createdDateTimeUtc);
      }
      for (const each of [...devices, group]) {
        expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
      }
    },
  );

  it('takes back nothing that somebody else writes into DPS meanwhile, and loses no update of its own', async () => {
    const ids = Array.from({ length: 5 }, (_, index) => `thermostat-raced-${index}`);
    const born = ids.map((id) => manufactured(id, {}, { minutesAgo: 60 }));
    await chain.sendToQueue(born);
    await settled(born);
    let racing = true;
    const foreign = (async () => {
      for (let round = 0; racing; round++) {
        for (const registrationId of ids) {
          await chain.dps.individualEnrollments
            .createOrUpdate(
              { registrationId, attestation: { type: 'symmetricKey' }, initialTwin: { tags: { round } } },
              { ifMatch: '*' },
            )
            .catch(() => undefined);
          // As fast as nobody can win would show nothing.
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    })();
    const changes = ids.flatMap((id) =>
      Array.from({ length: 6 }, (_, index) =>
        event(
          'device.changed',
          id,
          { product: 'thermostat-g2', tags: { index } },
          { minutesAgo: 50 - index },
        ),
      ),
    );
    await chain.sendToQueue(random.shuffled(changes));
    try {
      await settled(changes);
    } finally {
      racing = false;
      await foreign;
    }
    const last = ids.map((id) =>
      event('device.changed', id, { product: 'thermostat-g2', tags: { index: 99 } }, { minutesAgo: 1 }),
    );
    await chain.sendToQueue(last);
    await settled(last);
    for (const id of ids) {
      expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({
        initialTwin: { tags: { index: 99 } },
      });
    }
    for (const each of changes) {
      expect(['enrollment.succeeded', 'enrollment.superseded']).toContain(chain.outcomeOf(each)?.type);
    }
  });

  it('events of one device on several instances at once end in one state', async () => {
    const id = 'thermostat-crowd';
    const events = Array.from({ length: 30 }, (_, index) =>
      index % 3 === 0
        ? event(index % 2 === 0 ? 'device.held' : 'device.released', id, undefined, {
            minutesAgo: 100 - index,
          })
        : event(
            'device.changed',
            id,
            { product: 'thermostat-g2', tags: { index } },
            { minutesAgo: 100 - index },
          ),
    );
    await chain.sendToQueue(random.shuffled([...events, ...events]));
    await settled(events);
    expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({
      provisioningStatus: 'enabled',
      initialTwin: { tags: { index: 29 } },
    });
  });

  it('a returned device that registers again in between keeps its new record', async () => {
    const id = 'thermostat-returned';
    const born = manufactured(id, keys(80));
    await chain.sendToQueue([born]);
    await settled([born]);
    const provisioning = provisioningOf(chain.stack.endpoints);
    await registerDevice(id, { kind: 'symmetricKey', key: key(80) }, provisioning);
    const early = event('device.returned', id, undefined, { minutesAgo: 5_000 });
    await chain.sendToQueue([early]);
    await settled([early]);
    expect(await chain.dps.deviceRegistrationStates.get(id)).toMatchObject({ status: 'assigned' });
    const late = event('device.returned', id, undefined, { time: chain.clock.now().toISOString() });
    await chain.sendToQueue([late]);
    await settled([late]);
    await expect(chain.dps.deviceRegistrationStates.get(id)).rejects.toMatchObject({ statusCode: 404 });
    const again = { ...late };
    await registerDevice(id, { kind: 'symmetricKey', key: key(80) }, provisioning);
    await chain.sendToQueue([again]);
    await allQuiet(chain);
    expect(await chain.dps.deviceRegistrationStates.get(id)).toMatchObject({ status: 'assigned' });
  });
});
