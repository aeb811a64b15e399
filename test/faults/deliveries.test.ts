import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { EventBusUnavailableError } from '../../src/events/event-bus.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { allQuiet, endedInTurnedTime, requestsSoFar } from '../support/queue.ts';

interface Listed {
  readonly rejected: readonly {
    readonly key: string;
    readonly reason: string;
    readonly replayable: boolean;
    readonly history?: readonly { reason: string }[];
  }[];
}

describe('an event that comes more than once', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 1, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
    chain.startInstance();
  });
  afterAll(() => chain?.close());

  const rejected = async () => (await chain.json<Listed>('/api/rejected')).rejected;

  it('ten times at once, by HTTP and queue, has one effect, one outcome and one answer', async () => {
    const born = manufactured('thermostat-ten');
    await Promise.all([
      ...Array.from({ length: 5 }, () => chain.post(born)),
      chain.sendToQueue([born, born]),
      chain.sendToQueue([born, born, born]),
    ]);
    await chain.ended([born]);
    await allQuiet(chain);
    const { createdDateTimeUtc, lastUpdatedDateTimeUtc, etag } =
      await chain.dps.individualEnrollments.get('thermostat-ten');
    expect(lastUpdatedDateTimeUtc).toBe(createdDateTimeUtc);
    const status = `/api/devices/thermostat-ten/events/${keyOf(born)}`;
    const first = await chain.json(status);
    expect(first).toMatchObject({ status: 'succeeded' });
    const outcomes = chain.listener.outcomes.size;
    const answer = await chain.post(born, { prefer: 'wait=10' });
    expect(await answer.json()).toEqual({ events: [first] });
    await chain.sendToQueue([born]);
    await allQuiet(chain);
    expect(await chain.json(status)).toEqual(first);
    expect(await chain.dps.individualEnrollments.get('thermostat-ten')).toMatchObject({ etag });
    expect(chain.listener.outcomes.size).toBe(outcomes);
  });

  it('with another payload it is id-reuse, whether that one is valid or not, and changes nothing', async () => {
    const born = manufactured('thermostat-reuse', { tags: { first: 1 } });
    await chain.settle(born);
    const { etag } = await chain.dps.individualEnrollments.get('thermostat-reuse');
    const other = { ...born, data: { product: 'thermostat-g2', tags: { second: 2 } } };
    const invalid = { ...born, data: { product: 'toaster' } };
    expect((await chain.post(other)).status).toBe(202);
    await chain.sendToQueue([invalid]);
    const reuses = () =>
      [...chain.listener.outcomes.keys()].filter((id) => id.startsWith(`${keyOf(born)}-reuse-`));
    await eventually(async () => reuses().length === 2, 'both are answered');
    for (const id of reuses()) {
      expect(chain.listener.outcomes.get(id)?.data.reason).toBe('id-reuse');
    }
    const listed = (await rejected()).filter(({ key }) => key.startsWith(keyOf(born)));
    expect(listed.map(({ reason }) => reason)).toEqual(['id-reuse', 'id-reuse']);
    expect(await chain.dps.individualEnrollments.get('thermostat-reuse')).toMatchObject({ etag });
    expect(await chain.json(`/api/devices/thermostat-reuse/events/${keyOf(born)}`)).toMatchObject({
      status: 'succeeded',
    });
  });

  it('a rejected event is recorded once, however often it comes', async () => {
    const bad = manufactured('thermostat-bad', { product: 'toaster' });
    await chain.settle(bad);
    chain.advance(1_000);
    await chain.sendToQueue([bad, bad]);
    await allQuiet(chain);
    expect((await rejected()).filter(({ key }) => key === keyOf(bad))).toHaveLength(1);
  });

  it('poison beside it is rejected on its first delivery, and good events go through', async () => {
    const good = Array.from({ length: 20 }, (_, index) => manufactured(`thermostat-beside-${index}`));
    const poison = Array.from({ length: 20 }, (_, index) =>
      index % 2 === 0 ? `{ broken ${index}` : JSON.stringify({ x: 'y'.repeat(200 * 1024), index }),
    );
    const before = chain.listener.outcomes.size;
    await chain.sendToQueue(good.flatMap((each, index) => [each, poison[index]!]));
    await chain.ended(good);
    await eventually(async () => chain.listener.outcomes.size === before + 40, 'every one has its outcome');
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });

  it('rejected ones are replayed once, by whoever asks how often, and their reasons stay in their history', async () => {
    const many = Array.from({ length: 20 }, (_, index) =>
      event(
        'device.changed',
        `thermostat-replay-${index}`,
        { product: index < 10 ? 'toaster' : 'thermostat-g2' },
        { minutesAgo: 5 },
      ),
    );
    const scrapped = many
      .slice(10)
      .map(({ subject }) => event('device.scrapped', subject, undefined, { minutesAgo: 8 }));
    await chain.settle(...scrapped);
    await chain.settle(...many);
    const revived = many
      .slice(10)
      .map(({ subject }) => manufactured(subject, { remanufactured: true }, { minutesAgo: 6 }));
    await chain.settle(...revived);
    const keys = many.map(keyOf);
    const replay = () =>
      chain.json<{ replayed: number; refused: unknown[] }>('/api/rejected/replay', {
        method: 'POST',
        body: JSON.stringify({ keys }),
      });
    const [first] = await Promise.all([replay(), replay()]);
    expect(first).toMatchObject({ refused: [] });
    const statusOf = async (each: TestEvent) =>
      (
        await chain.json<{ status: string; attempts: number }>(
          `/api/devices/${each.subject}/events/${keyOf(each)}`,
        )
      ).status;
    await eventually(
      async () => (await Promise.all(many.slice(10).map(statusOf))).every((each) => each === 'succeeded'),
      'all that can be mended are',
    );
    await allQuiet(chain);
    expect((await Promise.all(many.slice(0, 10).map(statusOf))).every((each) => each === 'rejected')).toBe(
      true,
    );
    const byKey = new Map(
      (await allRejected()).filter(({ key }) => keys.includes(key)).map((each) => [each.key, each]),
    );
    for (const each of many.slice(0, 10)) {
      expect(byKey.get(keyOf(each))?.reason).toBe('unknown-product');
      expect(byKey.get(keyOf(each))?.history?.map(({ reason }) => reason)).toEqual(['unknown-product']);
    }
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });

  async function allRejected() {
    const found: Listed['rejected'][number][] = [];
    for (let continuation = ''; ; ) {
      const page = await chain.json<Listed & { continuation?: string }>(
        `/api/rejected?continuation=${continuation}`,
      );
      found.push(...page.rejected);
      if (page.continuation === undefined) {
        return found;
      }
      continuation = page.continuation;
    }
  }
});

describe('a message that is delivered again while its first delivery is still at work', () => {
  let chain: Chain;
  /** Of each instance, how many outcomes its Service Bus still refuses. */
  const refusals = [0, 0];
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    for (const index of refusals.keys()) {
      const publish = (pass: () => Promise<void>) => {
        if (refusals[index]! > 0) {
          refusals[index]! -= 1;
          return Promise.reject(new EventBusUnavailableError('The topic is full.'));
        }
        return pass();
      };
      chain.startInstance({ renewsLocks: false, altered: { bus: { publish } } });
    }
  });
  afterAll(() => chain?.close());

  it('has its effect once', async () => {
    const born = Array.from({ length: 20 }, (_, index) => manufactured(`thermostat-slow-${index}`));
    await chain.control('faults', 'PUT', [{ operation: 'IndividualEnrollment_*', latencyMs: 400, count: 4 }]);
    await chain.sendToQueue(born);
    await eventually(
      async () => chain.stack.serviceBus.counts('manufacturing-events').locked === 20,
      'all are at work',
    );
    const generated = new Map<string, unknown>();
    for (const id of (await chain.enrollments()).keys()) {
      generated.set(id, (await chain.dps.individualEnrollments.getAttestationMechanism(id)).symmetricKey);
    }
    chain.advance(61_000);
    await chain.ended(born);
    await allQuiet(chain);
    // Whoever takes over may write the same once more, so that the slow write finds another version: with the same keys.
    const updates = await requestsSoFar(chain, /IndividualEnrollment_CreateOrUpdate|Bulk/, /200/);
    expect(updates).toBeLessThan(2 * born.length);
    for (const each of born) {
      const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism(each.subject);
      expect(generated.get(each.subject) ?? symmetricKey, each.subject).toEqual(symmetricKey);
    }
    expect(chain.contradictions).toEqual([]);
    expect(chain.instances.flatMap(({ thrown }) => thrown)).toEqual([]);
  });

  it('and outcomes that Service Bus does not take wait for it, and use up no deliveries', async () => {
    const made = manufactured('thermostat-untold');
    refusals.fill(8);
    await chain.sendToQueue([made]);
    await endedInTurnedTime(chain, [made], { stepInMs: 61_000 });
    refusals.fill(0);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });

  it('and what the background ends is told, even if it fails between the ending and the telling', async () => {
    await chain.control('seed', 'POST', { groups: 1, registrationsPerGroup: 250, individualEnrollments: 0 });
    const { value: group } = await chain.dps.enrollmentGroups.query().next();
    const { enrollmentGroupId } = group!;
    await chain.settle(
      event('batch.started', enrollmentGroupId, { product: 'beacon-b2' }, { minutesAgo: 2 }),
    );
    const retired = event('batch.retired', enrollmentGroupId, undefined, { minutesAgo: 1 });
    refusals.fill(1);
    await chain.sendToQueue([retired]);
    await endedInTurnedTime(chain, [retired]);
    expect(chain.outcomeOf(retired)?.type).toBe('enrollment.succeeded');
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });
});

describe('an app that is told to stop in the middle of its work', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 2, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
  });
  afterAll(() => chain?.close());

  it('ends what it has begun, and loses nothing', async () => {
    const born = Array.from({ length: 200 }, (_, index) => manufactured(`thermostat-stop-${index}`));
    await chain.control('faults', 'PUT', [{ operation: '*', latencyMs: 100 }]);
    await chain.sendToQueue(born);
    await eventually(async () => chain.listener.outcomes.size > 10, 'some have ended');
    const [first] = chain.apps.splice(0, 1);
    await first!.stop();
    expect(first!.child.exitCode).toBe(0);
    await chain.ended(born);
    expect((await chain.enrollments()).size).toBe(born.length);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });

  it('goes on with a retired batch of hundreds of devices where a killed one left off', async () => {
    await chain.control('faults', 'PUT', []);
    await chain.control('seed', 'POST', { groups: 1, registrationsPerGroup: 700, individualEnrollments: 0 });
    const groups: string[] = [];
    for await (const { enrollmentGroupId } of chain.dps.enrollmentGroups.query()) {
      groups.push(enrollmentGroupId);
    }
    await chain.settle(event('batch.started', groups[0]!, { product: 'beacon-b2' }, { minutesAgo: 2 }));
    const retired = event('batch.retired', groups[0]!, undefined, { minutesAgo: 1 });
    await chain.sendToQueue([retired]);
    const deleted = () => requestsSoFar(chain, /DeviceRegistrationState_Delete/);
    for (const enough of [60, 260, 420]) {
      await eventually(async () => (await deleted()) >= enough, `${enough} records are deleted`);
      await chain.killApp();
      chain.advance(61_000);
      await chain.startApp();
    }
    await chain.ended([retired]);
    expect(chain.outcomeOf(retired)?.type).toBe('enrollment.succeeded');
    await expect(chain.dps.enrollmentGroups.get(groups[0]!)).rejects.toMatchObject({ statusCode: 404 });
    expect(await chain.stats()).toMatchObject({ registrations: 0 });
    expect(chain.stack.serviceBus.counts('background-work').deadLetter).toBe(0);
  });
});
