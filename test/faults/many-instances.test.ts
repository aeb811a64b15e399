import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { expectDevicesInDps, expectGroupsInDps, idOf } from '../support/as-expected.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { KeyPairs } from '../support/key-pairs.ts';
import { newestDefinition, newestHold } from '../support/oracle.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, type SeenRequest, throughProxy } from '../support/proxy.ts';
import { Random } from '../support/random.ts';
import { randomBatchLife, randomLife, startedBatch } from '../support/random-lives.ts';
import { WrongClock } from '../support/turned-clock.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));
const minute = 60_000;

describe.each([3, 8])(`%i instances on the same devices (SEED=${seed})`, (count) => {
  let chain: Chain;
  let proxy: FaultyProxy;
  const clocks: WrongClock[] = [];
  const keyPairs = new KeyPairs();
  const random = new Random(seed + count);
  let stalls: (request: SeenRequest) => boolean = () => false;
  const stalled: { goOn: () => void }[] = [];
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
    proxy = await proxyOfDps(chain, {
      fate: (request) => {
        keyPairs.see(request);
        return 'pass';
      },
      before: async (request) => {
        if (stalls(request)) {
          await new Promise<void>((goOn) => stalled.push({ goOn }));
        }
      },
    });
    for (let index = 0; index < count; index++) {
      const clock = new WrongClock(chain.clock);
      clocks.push(clock);
      chain.startInstance({ clock, env: { DPS_CONNECTION_STRING: throughProxy(proxy) } });
    }
  });
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
  });

  const faults = (...rules: object[]) => chain.control('faults', 'PUT', rules);
  /** Turns the clock until all have ended; what looks again, or comes once more for nothing, does so after that. */
  async function settled(events: readonly TestEvent[]): Promise<void> {
    await eventually(async () => {
      chain.advance(2_000);
      return events.every((each) => chain.outcomeOf(each));
    }, 'all end');
    await faults();
    await eventually(async () => {
      chain.advance(10_000);
      const { active, locked, scheduled } = chain.stack.serviceBus.counts('manufacturing-events');
      const background = chain.stack.serviceBus.counts('background-work');
      return active + locked + scheduled + background.active + background.locked + background.scheduled === 0;
    }, 'the queues are empty');
  }

  const ledger = () => chain.instances[0]!.services.ledger;
  const kindOf = ([first]: readonly TestEvent[]) => (first!.type.startsWith('batch') ? 'batch' : 'device');

  /** The ledger tells of each event what its outcome told, of each device what the contract says, and waits for nothing. */
  async function expectInLedger(life: readonly TestEvent[]): Promise<void> {
    const subject = { kind: kindOf(life), id: idOf(life) } as const;
    for (const each of life) {
      const record = await ledger().readEvent(subject, keyOf(each));
      expect(chain.outcomeOf(each)?.type, JSON.stringify(each)).toBe(`enrollment.${record?.status}`);
    }
    const state = await ledger().readState(subject);
    expect(state, subject.id).toMatchObject({ pending: [] });
    expect([state?.outcomesDue, state?.look, state?.lease], subject.id).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const keyOfNewest = (newest: TestEvent | undefined) => newest && keyOf(newest);
    const { hold, definitions } = state!.registers;
    expect(hold?.version.key, subject.id).toBe(keyOfNewest(newestHold(life)));
    expect(definitions[0]?.version.key, subject.id).toBe(keyOfNewest(newestDefinition(life)));
  }

  /** Nothing is lost, told twice, dead, or thrown. */
  function expectNoLoss(events: readonly TestEvent[]): void {
    const { serviceBus } = chain.stack;
    expect(events.filter((each) => !chain.outcomeOf(each))).toEqual([]);
    expect(chain.contradictions).toEqual([]);
    expect(serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
    expect(serviceBus.counts('background-work').deadLetter).toBe(0);
    expect(chain.instances.flatMap(({ thrown }) => thrown)).toEqual([]);
  }

  it.each([
    ['tell the same time', 0],
    ['have clocks that differ by a minute', minute],
  ])(
    'end random lives as the contract says, doubled and in any order, while DPS fails, and %s',
    async (_, apart) => {
      for (const [index, clock] of clocks.entries()) {
        clock.aheadInMs = (apart * index) / (count - 1) - apart / 2;
      }
      const name = (index: number) => `${apart}-${index}`;
      const options = { eventsAtMost: 6, batch: `batch-of-${apart}` };
      const lives = Array.from({ length: 32 }, (_, index) => randomLife(random, name(index), options));
      const batches = Array.from({ length: 8 }, (_, index) => randomBatchLife(random, name(index), options));
      const events = [startedBatch(options.batch), ...lives.flat(), ...batches.flat()];
      await faults(
        { operation: '*', status: 429, retryAfter: '1', rate: 0.03, seed },
        { operation: '*', status: 500, rate: 0.04, seed: seed + 1 },
        { operation: '*', status: 503, rate: 0.04, seed: seed + 2 },
        { operation: '*', reset: 'before', rate: 0.04, seed: seed + 3 },
        { operation: '*', reset: 'after', rate: 0.04, seed: seed + 4 },
      );
      await chain.sendToQueue(random.shuffled([...events, ...events]));
      await settled(events);
      await expectDevicesInDps(chain, lives);
      await expectGroupsInDps(chain, batches);
      for (const life of [...lives, ...batches]) {
        await expectInLedger(life);
      }
      expectNoLoss(events);
      const gone = new Set(
        events
          .filter(({ type }) => /scrapped|retired/.test(type))
          .map(({ subject }) => subject.toLowerCase()),
      );
      expect(keyPairs.lost.filter((id) => !gone.has(id))).toEqual([]);
    },
  );

  it('take over from one that stalls past its lease, and what it writes when it wakes is put right', async () => {
    const id = `thermostat-stalled-${count}`;
    const made = manufactured(id, { tags: { a: 1 } }, { minutesAgo: 60 });
    await chain.settle(made);
    const held = event('device.held', id, undefined, { minutesAgo: 50 });
    stalls = ({ method, path }) => method === 'PUT' && path.includes(id);
    await chain.sendToQueue([held]);
    await eventually(async () => stalled.length === 1, 'the holder stalls');
    stalls = () => false;
    const turns = Array.from({ length: 100 }, (_, index) =>
      event(index % 2 === 0 ? 'device.held' : 'device.released', id, undefined, {
        minutesAgo: 40 - index / 10,
      }),
    );
    await chain.sendToQueue(turns);
    await eventually(async () => {
      chain.advance(10_000);
      return [held, ...turns].every((each) => chain.outcomeOf(each));
    }, 'others take over, since its lease is over');
    expect(stalled).toHaveLength(1);
    const last = await chain.dps.individualEnrollments.get(id);
    for (const { goOn } of stalled.splice(0)) {
      goOn();
    }
    await settled([held, ...turns]);
    expect(await chain.dps.individualEnrollments.get(id)).toEqual(last);
    expect(last.provisioningStatus ?? 'enabled').toBe('enabled');
    await expectInLedger([made, held, ...turns]);
    expectNoLoss([held, ...turns]);
  });
});
