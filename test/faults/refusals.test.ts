import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured, type TestEvent } from '../support/events.ts';
import { ProfilesFile } from '../support/profiles-file.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, type SeenRequest, throughProxy } from '../support/proxy.ts';
import { allQuiet } from '../support/queue.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const keys = (byte: number) => ({
  attestation: { type: 'symmetricKey', primaryKey: key(byte), secondaryKey: key(byte + 100) },
});
const product = { product: 'thermostat-g2' };
/** DPS does not know the version of the webhook's API, which only DPS finds out. */
const refusedByDps = {
  enrollment: 'individual',
  attestation: 'symmetricKey',
  allocationPolicy: 'custom',
  customAllocationDefinition: { webhookUrl: 'https://example.com/a', apiVersion: '2001-01-01' },
};

/** More definitions than are remembered for a device. */
const refusedAtOnce = 6;

describe(`definitions that DPS refuses while others wait for it (SEED=${seed})`, () => {
  const random = new Random(seed);
  const profiles: ProfilesFile[] = [];
  let chain: Chain;
  let proxy: FaultyProxy;
  let down = false;
  /** Devices that were made without keys: DPS generated some. */
  const generated = new Set<string>();

  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfDps(chain, {
      fate: (request) => {
        if (down) {
          return 'cut-before';
        }
        for (const id of madeWithoutKeys(request)) {
          generated.add(id);
        }
        return 'pass';
      },
    });
    startInstance({ product: 'broken-*', ...refusedByDps });
  });
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
    for (const file of profiles) {
      file.remove();
    }
  });

  function startInstance(profile: { product: string }) {
    const file = new ProfilesFile(profile);
    profiles.push(file);
    const env = { DPS_CONNECTION_STRING: throughProxy(proxy), ENROLLMENT_PROFILES: file.path };
    return chain.startInstance({ env });
  }
  const record = (sent: TestEvent) => chain.recordOf(sent);

  async function settled(events: readonly TestEvent[]): Promise<void> {
    for (let step = 0; step < 100 && !events.every((each) => chain.outcomeOf(each)); step++) {
      // An instance that was closed may have left a lock, which only time takes away.
      await allQuiet(chain, 2_000).catch(() => undefined);
      chain.advance(5_000);
    }
    await chain.ended(events, 5_000);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
    expect(chain.instances.flatMap(({ thrown }) => thrown)).toEqual([]);
    expect(chain.contradictions).toEqual([]);
  }

  /** All of them are merged while DPS is down, in any order; then it is back. */
  async function settledAfterOutage(events: readonly TestEvent[]): Promise<void> {
    down = true;
    await chain.sendToQueue(random.shuffled(events));
    await eventually(async () => {
      chain.advance(1_000);
      const records = await Promise.all(events.map(record));
      // A hold that comes before its device is only remembered: that needs no DPS.
      return records.every((each) => each?.status === 'retrying' || each?.status === 'succeeded');
    }, 'all are merged');
    down = false;
    await settled(events);
  }

  async function expectInDps(id: string, good: number, byte: number): Promise<void> {
    const enrollment = await chain.dps.individualEnrollments.get(id);
    expect(enrollment, id).toMatchObject({ provisioningStatus: 'disabled', initialTwin: { tags: { good } } });
    const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism(id);
    expect(symmetricKey, id).toEqual({ primaryKey: key(byte), secondaryKey: key(byte + 100) });
  }

  const bad = (id: string, index: number) =>
    event(
      'device.changed',
      id,
      { product: 'broken-1', ...(index % 2 === 0 ? keys(50 + index) : {}) },
      { minutesAgo: 40 - index },
    );

  it('push out nothing that is in force behind them, however many they are, and leave no keys but those that were sent', async () => {
    const lives = Array.from({ length: 8 }, (_, index) => {
      const id = `thermostat-crowded-${index}`;
      const withKeys = manufactured(id, keys(index), { minutesAgo: 60 });
      const good = event('device.changed', id, { ...product, tags: { good: index } }, { minutesAgo: 50 });
      const refused = Array.from({ length: refusedAtOnce }, (_, each) => bad(id, each));
      const held = event('device.held', id, undefined, { minutesAgo: 5 });
      return { id, index, withKeys, good, refused, held };
    });
    const events = lives.flatMap(({ withKeys, good, refused, held }) => [withKeys, good, ...refused, held]);
    await settledAfterOutage(events);
    for (const { id, index, withKeys, good, refused, held } of lives) {
      await expectInDps(id, index, index);
      expect(generated, 'with keys of nobody').not.toContain(id);
      for (const each of [withKeys, good, held]) {
        expect(chain.outcomeOf(each)?.type, id).toBe('enrollment.succeeded');
      }
      for (const each of refused) {
        expect(await record(each)).toMatchObject({ reason: 'dps-rejected' });
      }
    }
  });

  it('push out nothing that DPS holds already, and keys that are older than those in force stay out', async () => {
    const id = 'thermostat-in-force';
    const born = manufactured(id, { ...keys(1), tags: { good: 1 } }, { minutesAgo: 60 });
    await chain.sendToQueue([born]);
    await settled([born]);
    const refused = Array.from({ length: refusedAtOnce }, (_, each) => bad(id, each));
    await settledAfterOutage(refused);
    for (const each of refused) {
      expect(await record(each)).toMatchObject({ reason: 'dps-rejected' });
    }
    const late = manufactured(id, { ...keys(9), tags: { good: 9 } }, { minutesAgo: 70 });
    const held = event('device.held', id, undefined, { minutesAgo: 5 });
    await chain.sendToQueue([late, held]);
    await settled([late, held]);
    expect(chain.outcomeOf(late)?.type).toBe('enrollment.superseded');
    await expectInDps(id, 1, 1);
  });

  it('that arrive late, after a newer one that DPS took, are not even shown to it', async () => {
    const id = 'thermostat-late-refusal';
    const good = manufactured(id, { ...keys(3), tags: { good: 3 } }, { minutesAgo: 20 });
    await chain.sendToQueue([good]);
    await settled([good]);
    const { etag } = await chain.dps.individualEnrollments.get(id);
    const late = bad(id, 0);
    await chain.sendToQueue([late]);
    await settled([late]);
    expect(chain.outcomeOf(late)?.type).toBe('enrollment.superseded');
    expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({ etag });
    const newer = event('device.changed', id, { product: 'broken-1' }, { minutesAgo: 10 });
    await chain.sendToQueue([newer]);
    await settled([newer]);
    expect(await record(newer)).toMatchObject({ status: 'rejected', reason: 'dps-rejected' });
    expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({ etag });
  });

  it('because their profile was changed for the worse make a hold wait, and not succeed without effect', async () => {
    const id = 'thermostat-profile';
    const born = manufactured(id, { ...keys(4), tags: { good: 4 } }, { minutesAgo: 20 });
    await chain.sendToQueue([born]);
    await settled([born]);
    for (const instance of chain.instances.splice(0)) {
      await instance.close();
    }
    startInstance({ product: 'thermostat-g2', ...refusedByDps });
    const held = event('device.held', id, undefined, { minutesAgo: 5 });
    await chain.sendToQueue([held]);
    await eventually(async () => (await record(held))?.status === 'retrying', 'the hold waits');
    await allQuiet(chain, 2_000).catch(() => undefined);
    expect((await record(held))?.detail).toContain('profile');
    expect(chain.outcomeOf(held)).toBeUndefined();
    for (const instance of chain.instances.splice(0)) {
      await instance.close();
    }
    startInstance({ product: 'broken-*', ...refusedByDps });
    await settled([held]);
    await expectInDps(id, 4, 4);
  });
});

/** The devices that a request makes, or updates, without saying their keys. */
function madeWithoutKeys({ method, path: target, body }: SeenRequest): string[] {
  const isWrite = method === 'PUT' || (method === 'POST' && /\/enrollments\?/.test(target));
  if (!isWrite) {
    return [];
  }
  const { enrollments, ...single } = JSON.parse(body.toString());
  const written = (enrollments ?? [single]) as {
    registrationId: string;
    attestation: { symmetricKey?: { primaryKey?: string } };
  }[];
  return written
    .filter(({ attestation }) => attestation.symmetricKey?.primaryKey === undefined)
    .map(({ registrationId }) => registrationId);
}
