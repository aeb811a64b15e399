import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { AppProcess } from '../../src/local/stack/app-process.ts';
import { Chain, eventually } from '../support/chain.ts';
import { authorizationFor } from '../support/dps-signature.ts';
import { keyOf, type TestEvent } from '../support/events.ts';
import { expectedDevice } from '../support/oracle.ts';
import { type Fate, FaultyProxy, type SeenRequest, through } from '../support/proxy.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));
const kills = Number(process.env.KILLS ?? 50);
const devicesAtATime = 4;

type Step = 'dps' | 'tables' | 'outcome';

/** An app that is killed at the n-th write of a kind: before it, after it, or when its answer has arrived. */
class Victim {
  app: AppProcess | undefined;
  #armed: { step: Step; fate: Fate; left: number; kill(): void } | undefined;
  #env: Record<string, string> = {};
  #proxies: FaultyProxy[] = [];
  /** Updates that would have made DPS generate a second pair of keys. */
  readonly keysLost: string[] = [];

  async open(chain: Chain): Promise<void> {
    const tables = chain.stack.endpoints.tables.connectionString;
    const dps = await FaultyProxy.start({
      target: chain.stack.endpoints.dps.endpoint,
      headers: () => authorizationFor(chain),
      fate: (request) => {
        this.#watchKeys(request);
        return this.#fateOf('dps', request);
      },
      struck: () => this.#strike(),
    });
    const storage = await FaultyProxy.start({
      target: new URL(/TableEndpoint=([^;]+)/.exec(tables)![1]!).origin,
      fate: (request) => this.#fateOf('tables', request),
      struck: () => this.#strike(),
    });
    this.#proxies = [dps, storage];
    this.#env = through(dps, storage, tables);
  }

  async start(chain: Chain): Promise<void> {
    this.app = await chain.startApp(this.#env);
  }

  /** Resolves when the app is dead. */
  async dies(random: Random, chain: Chain): Promise<Step> {
    const step = random.pick<Step>(['dps', 'dps', 'tables', 'tables', 'outcome']);
    const fate = random.pick<Fate>(['cut-before', 'cut-after', 'pass-and-tell']);
    const outcomes = chain.listener.outcomes.size + 1 + random.below(6);
    const reached = new Promise<void>((kill) => {
      this.#armed = { step, fate, left: 1 + random.below(step === 'dps' ? 6 : 24), kill };
    });
    const told = eventually(
      async () => (step === 'outcome' && chain.listener.outcomes.size >= outcomes) || !this.#armed,
      'an outcome',
      1_500,
    ).catch(() => undefined);
    // A moment that never comes, because the other app was faster, comes now.
    await (step === 'outcome' ? told : Promise.race([reached, told]));
    this.#armed = undefined;
    chain.apps.splice(chain.apps.indexOf(this.app!), 1);
    await this.app?.kill();
    return step;
  }

  async close(): Promise<void> {
    for (const proxy of this.#proxies) await proxy.close();
  }

  #fateOf(step: Step, { method }: SeenRequest): Fate {
    if (this.#armed?.step !== step || method === 'GET') return 'pass';
    return --this.#armed.left === 0 ? this.#armed.fate : 'pass';
  }

  async #strike(): Promise<void> {
    this.app?.child.kill('SIGKILL');
    this.#armed?.kill();
  }

  #watchKeys({ method, path, headers, body }: SeenRequest): void {
    if (method !== 'PUT' || headers['if-match'] === undefined || /beacon/.test(path)) return;
    const { attestation } = JSON.parse(body.toString());
    if (attestation.type === 'symmetricKey' && !attestation.symmetricKey?.primaryKey)
      this.keysLost.push(path);
  }
}

describe(`${kills} kills at every step (SEED=${seed})`, () => {
  const victims = [new Victim(), new Victim()];
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
    for (const victim of victims) await victim.open(chain);
  });
  afterAll(async () => {
    await chain?.close();
    await Promise.all(victims.map((victim) => victim.close()));
  });

  it('lose nothing, double nothing, and change no keys', async () => {
    const lives: TestEvent[][] = [];
    const struckAt = new Map<Step, number>();
    const random = new Random(seed);
    const starting = victims.map((victim) => victim.start(chain));
    for (let round = 0; round < kills; round++) {
      const victim = victims[round % 2]!;
      await starting[round % 2];
      const fresh = Array.from({ length: devicesAtATime }, (_, index) =>
        life(random, round * devicesAtATime + index),
      );
      lives.push(...fresh);
      const dead = victim.dies(random, chain);
      await chain.sendToQueue(random.shuffled(fresh.flat()));
      const step = await dead;
      struckAt.set(step, (struckAt.get(step) ?? 0) + 1);
      // What the dead one held comes back, to whichever is there; and ten deliveries are all that a message has.
      chain.advance(61_000);
      starting[round % 2] = victim.start(chain);
      await chain.ended(fresh.flat(), 30_000);
    }
    await Promise.all(starting);
    const events = lives.flat();
    expect([...struckAt.values()].reduce((sum, count) => sum + count, 0)).toBe(kills);

    const enrollments = await chain.enrollments();
    for (const each of lives) {
      const id = each[0]!.subject;
      const expected = expectedDevice(each);
      const actual = enrollments.get(id);
      const seen = actual && {
        provisioningStatus: actual.provisioningStatus ?? 'enabled',
        ...(actual.initialTwin ? { tags: actual.initialTwin.tags } : {}),
      };
      expect(seen ?? 'absent', JSON.stringify(each)).toEqual(expected.enrollment);
      if (expected.primaryKey === undefined) continue;
      const mechanism = await chain.dps.individualEnrollments.getAttestationMechanism(id);
      expect(mechanism.symmetricKey?.primaryKey, JSON.stringify(each)).toBe(expected.primaryKey);
    }
    const keys = new Set(events.map(keyOf));
    expect([...chain.listener.outcomes.keys()].filter((id) => !keys.has(id))).toEqual([]);
    const { services } = chain.startInstance();
    for (const each of events) {
      const record = await services.ledger.readEvent({ kind: 'device', id: each.subject }, keyOf(each));
      expect(chain.outcomeOf(each)?.type).toBe(`enrollment.${record?.status}`);
    }
    for (const each of lives) {
      const state = await services.ledger.readState({ kind: 'device', id: each[0]!.subject });
      expect(state?.revision, each[0]!.subject).toBe(state?.appliedRevision);
    }
    expect(victims.flatMap(({ keysLost }) => keysLost)).toEqual([]);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  }, 150_000);
});

function life(random: Random, index: number): TestEvent[] {
  const isMember = random.chance(0.25);
  const subject = `${isMember ? 'beacon' : 'thermostat'}-crash-${index}`;
  const kinds = ['manufactured', 'manufactured', 'changed', 'held', 'released', 'scrapped', 'returned'];
  return Array.from({ length: 1 + random.below(4) }, (_, count) => {
    const kind = random.pick(kinds);
    const key = () => Buffer.from(Array.from({ length: 32 }, () => random.below(256))).toString('base64');
    const keys = random.chance(0.3)
      ? { attestation: { type: 'symmetricKey', primaryKey: key(), secondaryKey: key() } }
      : {};
    const own = isMember
      ? { product: 'beacon-b2', batch: 'batch-crash' }
      : { product: 'thermostat-g2', tags: { order: random.below(1_000) }, ...keys };
    return {
      specversion: '1.0',
      id: `${index}-${count}`,
      source: '/factories/a',
      type: `device.${kind}`,
      subject,
      time: `2026-11-20T10:0${random.below(6)}:00Z`,
      ...(kind === 'manufactured' || kind === 'changed' ? { data: own } : {}),
    };
  });
}
