import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { RejectedEvent } from '../../src/enrollment/rejected/rejected-events.ts';
import type { ReplayResult } from '../../src/enrollment/rejected/rejected-replay.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { Chain, eventually } from '../support/chain.ts';
import { keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { ProfilesFile } from '../support/profiles-file.ts';
import { allQuiet, requestsSoFar } from '../support/queue.ts';

/** A thousand take a while where other tests keep both cores busy. */
const timeoutInMs = 110_000;

const supplied = (index: number) => ({
  attestation: {
    type: 'symmetricKey',
    primaryKey: Buffer.alloc(32, index).toString('base64'),
    secondaryKey: Buffer.alloc(32, index + 1).toString('base64'),
  },
});
const many = (count: number, prefix: string, data: (index: number) => object) =>
  Array.from({ length: count }, (_, index) => manufactured(`thermostat-${prefix}-${index}`, data(index)));

describe('a thousand rejected events that are replayed twice, once their product has a profile', () => {
  let profiles: ProfilesFile;
  const mended = many(500, 'mended', () => ({ product: 'kettle-1' }));
  const wrongStill = many(400, 'wrong', () => ({ product: 'toaster-1' }));
  const withKeys = many(100, 'keys', (index) => ({ product: 'kettle-1', ...supplied(index) }));
  const all = [...mended, ...wrongStill, ...withKeys];
  let chain: Chain;
  let instance: AppInstance;

  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    instance = chain.startInstance();
    await chain.sendToQueue(all);
    await chain.ended(all, timeoutInMs);
    await instance.close();
    chain.instances.splice(0);
    const kettle = { product: 'kettle-*', enrollment: 'individual', attestation: 'symmetricKey' };
    profiles = new ProfilesFile(kettle);
    instance = chain.startInstance({ env: { ENROLLMENT_PROFILES: profiles.path } });
  }, timeoutInMs);
  afterAll(async () => {
    await chain?.close();
    profiles?.remove();
  });

  /** As the route does it; of keys it takes a thousand. */
  async function replay(events: readonly TestEvent[]): Promise<ReplayResult> {
    const bytes = Buffer.from(JSON.stringify({ keys: events.map(keyOf) }));
    const request = { body: async () => bytes } as unknown as Parameters<typeof resource.replay>[0];
    const resource = instance.services.rejectedResource;
    const { status, body } = await resource.replay(request);
    expect(status).toBe(200);
    return JSON.parse(String(body));
  }
  const statusOf = async (sent: TestEvent) => {
    const subject = { kind: 'device', id: sent.subject } as const;
    return (await instance.services.ledger.readEvent(subject, keyOf(sent)))?.status;
  };
  async function rejected(): Promise<Map<string, RejectedEvent>> {
    const found = new Map<string, RejectedEvent>();
    for await (const { event } of instance.services.rejectedEvents.all({})) {
      expect(found.has(event.key), 'listed once').toBe(false);
      found.set(event.key, event);
    }
    return found;
  }

  it(
    'has them evaluated anew once, keeps every reason, and refuses those whose keys are gone, saying why',
    async () => {
      expect(all).toHaveLength(1_000);
      // At once, as by two people who both press the button.
      const answers = await Promise.all([replay(all), replay(all)]);
      for (const { refused } of answers) {
        expect(new Set(refused.map(({ key }) => key))).toEqual(new Set(withKeys.map(keyOf)));
        expect(new Set(refused.map(({ why }) => why))).toEqual(new Set(['its keys were removed']));
      }
      const isMended = (each: TestEvent) => chain.outcomeOf(each)?.type === 'enrollment.succeeded';
      await eventually(async () => mended.every(isMended), 'what could be mended is', timeoutInMs);
      await allQuiet(chain, timeoutInMs);
      const statuses = await Promise.all(mended.map(statusOf));
      expect(new Set(statuses)).toEqual(new Set(['succeeded']));

      const listed = await rejected();
      for (const each of wrongStill) {
        const { reason, history, replayedAt } = listed.get(keyOf(each))!;
        expect(reason).toBe('unknown-product');
        expect(history).toMatchObject([{ reason: 'unknown-product', replayedAt: expect.any(String) }]);
        expect(replayedAt, 'it may be replayed again').toBeUndefined();
      }
      for (const each of mended) {
        expect(listed.get(keyOf(each))).toMatchObject({
          reason: 'unknown-product',
          replayedAt: expect.any(String),
        });
      }
      for (const each of withKeys) {
        expect(listed.get(keyOf(each))).toMatchObject({ reason: 'unknown-product', replayable: false });
        expect(chain.outcomeOf(each)?.type).toBe('enrollment.rejected');
      }
      const enrollments = await chain.enrollments();
      expect([...enrollments.keys()].sort()).toEqual(mended.map(({ subject }) => subject).sort());
      for (const [id, { createdDateTimeUtc, lastUpdatedDateTimeUtc }] of enrollments) {
        expect(lastUpdatedDateTimeUtc, id).toBe(createdDateTimeUtc);
      }
      for (const each of mended) {
        expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
      }

      const writes = () => requestsSoFar(chain, /Create|Bulk|Delete/);
      const before = await writes();
      expect(await replay(mended), 'these were replayed already').toEqual({ replayed: 0, refused: [] });
      await allQuiet(chain);
      expect(await writes()).toBe(before);
      expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
      expect(instance.thrown).toEqual([]);
    },
    2 * timeoutInMs,
  );
});
