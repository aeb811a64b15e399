import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { AppProcess } from '../../src/local/stack/app-process.ts';
import { AmqpProxy } from './amqp-proxy.ts';
import { expectDevicesInDps, idOf } from './as-expected.ts';
import { Chain, eventually } from './chain.ts';
import { keyOf, type TestEvent } from './events.ts';
import { KeyPairs } from './key-pairs.ts';
import { proxyOfDps, proxyOfTables } from './proxies-of-chain.ts';
import { type Fate, type FaultyProxy, type SeenRequest, through } from './proxy.ts';
import { Random } from './random.ts';
import { randomLife } from './random-lives.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));
const devicesAtATime = 4;
const lifeOptions = { eventsAtMost: 4, batch: 'batch-crash' };

/** A write to DPS or the tables, a message that is sent (an outcome, or an event that waits), or one that is settled. */
export type CrashStep = 'dps' | 'tables' | 'transfer' | 'disposition';
const fates = ['cut-before', 'cut-after', 'pass-and-tell'] as const;

interface Moment {
  readonly step: CrashStep;
  readonly fate: (typeof fates)[number];
}

/** An app that is killed at the n-th write of a kind: before it, after it, or when its answer has arrived. */
class Victim {
  app: AppProcess | undefined;
  #armed: (Moment & { left: number; kill(): void }) | undefined;
  #env: Record<string, string> = {};
  #proxies: FaultyProxy[] = [];
  #bus: AmqpProxy | undefined;
  readonly keyPairs = new KeyPairs();

  async open(chain: Chain): Promise<void> {
    const tables = chain.stack.endpoints.tables.connectionString;
    const dps = await proxyOfDps(chain, {
      fate: (request) => {
        this.keyPairs.see(request);
        return this.#fateOf('dps', request);
      },
      struck: () => this.#strike(),
    });
    const storage = await proxyOfTables(chain, {
      fate: (request) => this.#fateOf('tables', request),
      struck: () => this.#strike(),
    });
    this.#bus = await AmqpProxy.start({
      target: { host: '127.0.0.1', port: chain.stack.serviceBus.port },
      fate: (frame) => this.#strikes(frame),
      struck: () => this.#strike(),
    });
    this.#proxies = [dps, storage];
    const { connectionString } = chain.stack.endpoints.serviceBus;
    this.#env = {
      ...through(dps, storage, tables),
      ServiceBusConnection: connectionString.replace(/(sb:\/\/[^:;]+):\d+/, `$1:${this.#bus.port}`),
    };
  }

  async start(chain: Chain): Promise<void> {
    this.app = await chain.startApp(this.#env);
  }

  /** Resolves when the app is dead. @returns whether that was at the moment that was asked for. */
  async dies({ step, fate }: Moment, random: Random, chain: Chain): Promise<boolean> {
    let struck = false;
    const reached = new Promise<void>((resolve) => {
      const kill = () => {
        struck = true;
        resolve();
      };
      this.#armed = { step, fate, left: 1 + random.below(step === 'dps' ? 2 : 6), kill };
    });
    // A moment that never comes, because the other app was faster, comes now.
    await Promise.race([reached, eventually(async () => struck, 'the moment', 1_500).catch(() => undefined)]);
    this.#armed = undefined;
    chain.apps.splice(chain.apps.indexOf(this.app!), 1);
    await this.app?.kill();
    await this.#bus?.deserted();
    return struck;
  }

  async close(): Promise<void> {
    for (const proxy of this.#proxies) {
      await proxy.close();
    }
    await this.#bus?.close();
  }

  #fateOf(step: Moment['step'], { method }: SeenRequest): Fate {
    return method === 'GET' ? 'pass' : this.#strikes(step);
  }

  #strikes(step: Moment['step']): Fate {
    if (this.#armed?.step !== step) {
      return 'pass';
    }
    return --this.#armed.left === 0 ? this.#armed.fate : 'pass';
  }

  async #strike(): Promise<void> {
    this.app?.child.kill('SIGKILL');
    this.#armed?.kill();
  }
}

/** Kills the app at these steps, again and again, and looks whether anything was lost, doubled or changed. */
export function describeCrashes(what: string, steps: readonly CrashStep[]): void {
  const kills = Math.ceil(Number(process.env.KILLS ?? 50) / 2);
  describe(`${kills} kills before, after and in the answer to ${what} (SEED=${seed})`, () => {
    const victims = [new Victim(), new Victim()];
    let chain: Chain;
    beforeAll(async () => {
      chain = await Chain.start({ apps: 0, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
      for (const victim of victims) {
        await victim.open(chain);
      }
    });
    afterAll(async () => {
      await chain?.close();
      await Promise.all(victims.map((victim) => victim.close()));
    });

    /** What a dead one held comes back to whichever is there, once its locks are over; what waits, a little later. */
    async function endedInTime(events: readonly TestEvent[]): Promise<void> {
      chain.advance(61_000);
      for (let turn = 0; turn < 100 && !events.every((each) => chain.outcomeOf(each)); turn++) {
        // Locks must not run out faster than a busy machine works: a redelivery takes over, and begins again.
        await chain.ended(events, 1_000).catch(() => undefined);
        chain.advance(2_000);
      }
      await chain.ended(events, 5_000);
    }

    it(
      'lose nothing, double nothing, and change no keys',
      async () => {
        const lives: TestEvent[][] = [];
        const moments = steps.flatMap((step) => fates.map((fate): Moment => ({ step, fate })));
        const struckAt = new Map(moments.map((moment) => [moment, 0]));
        let due = [...moments];
        const random = new Random(seed);
        const starting = victims.map((victim) => victim.start(chain));
        for (let round = 0; round < kills; round++) {
          const victim = victims[round % 2]!;
          await starting[round % 2];
          const fresh = Array.from({ length: devicesAtATime }, (_, index) =>
            randomLife(random, `crash-${round * devicesAtATime + index}`, lifeOptions),
          );
          lives.push(...fresh);
          const moment = due[0]!;
          const dead = victim.dies(moment, random, chain);
          await chain.sendToQueue(random.shuffled(fresh.flat()));
          if (await dead) {
            struckAt.set(moment, struckAt.get(moment)! + 1);
            due = due.length > 1 ? due.slice(1) : random.shuffled(moments);
          } else {
            due = random.shuffled(due);
          }
          starting[round % 2] = victim.start(chain);
          await endedInTime(fresh.flat());
        }
        await Promise.all(starting);
        const events = lives.flat();
        if (kills >= 2 * moments.length) {
          for (const [moment, count] of struckAt) {
            expect(count, JSON.stringify(moment)).toBeGreaterThan(0);
          }
        }

        await expectDevicesInDps(chain, lives);
        const keys = new Set(events.map(keyOf));
        expect([...chain.listener.outcomes.keys()].filter((id) => !keys.has(id))).toEqual([]);
        const { services } = chain.startInstance();
        for (const each of events) {
          const record = await services.ledger.readEvent({ kind: 'device', id: idOf([each]) }, keyOf(each));
          expect(chain.outcomeOf(each)?.type).toBe(`enrollment.${record?.status}`);
        }
        for (const each of lives) {
          const state = await services.ledger.readState({ kind: 'device', id: idOf(each) });
          expect(state?.pending, idOf(each)).toEqual([]);
        }
        const scrapped = new Set(
          events.filter(({ type }) => type === 'device.scrapped').map(({ subject }) => subject.toLowerCase()),
        );
        const lost = victims.flatMap(({ keyPairs }) => keyPairs.lost);
        expect(lost.filter((id) => !scrapped.has(id))).toEqual([]);
        expect(chain.contradictions).toEqual([]);
        expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
      },
      120_000 + kills * 5_000,
    );
  });
}
