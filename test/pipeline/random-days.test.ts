import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain } from '../support/chain.ts';
import { keyOf, type TestEvent } from '../support/events.ts';
import { expectedDevice } from '../support/oracle.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));
const devices = 200;

describe(`${devices} devices with random lives, in random order, with repeats (SEED=${seed})`, () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 3, env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
  });
  afterAll(() => chain?.close());

  it('end in the state that their events mean, whichever of three app instances handles them', async () => {
    const random = new Random(seed);
    const lives = Array.from({ length: devices }, (_, index) => randomLife(random, index));
    const batch = started();
    const events = [batch, ...lives.flat()];
    const sent = random.shuffled([...events, ...events.filter(() => random.chance(0.3))]);
    const half = Math.ceil(sent.length / 2);
    await Promise.all([chain.sendToQueue(sent.slice(0, half)), postInBatches(chain, sent.slice(half))]);
    await chain.ended(events, 110_000);

    const enrollments = await chain.enrollments();
    for (const life of lives) {
      const id = life[0]!.subject.toLowerCase();
      const expected = expectedDevice(life);
      const actual = enrollments.get(id);
      const seen = actual && {
        provisioningStatus: actual.provisioningStatus ?? 'enabled',
        ...(actual.initialTwin ? { tags: actual.initialTwin.tags } : {}),
      };
      expect(seen ?? 'absent', `${id}: ${JSON.stringify(life)}`).toEqual(expected.enrollment);
      if (expected.primaryKey === undefined) {
        continue;
      }
      const mechanism = await chain.dps.individualEnrollments.getAttestationMechanism(id);
      expect(mechanism.symmetricKey?.primaryKey, `${id}: ${JSON.stringify(life)}`).toBe(expected.primaryKey);
    }

    const keys = new Set(events.map(keyOf));
    const ended = [...chain.listener.outcomes.values()].filter(({ id }) => keys.has(id));
    expect(ended).toHaveLength(keys.size);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
    expect(chain.contradictions).toEqual([]);
  }, 150_000);
});

function randomLife(random: Random, index: number): TestEvent[] {
  const isMember = random.chance(0.3);
  const subject = isMember ? `beacon-r${index}` : `thermostat-r${index}`;
  const kinds = [
    'manufactured',
    'manufactured',
    'changed',
    'changed',
    'held',
    'released',
    'scrapped',
    'returned',
  ];
  return Array.from({ length: 1 + random.below(7) }, (_, count) => {
    const kind = random.pick(kinds);
    const definition = kind === 'manufactured' || kind === 'changed';
    return {
      specversion: '1.0',
      id: `${index}-${count}`,
      source: random.pick(['/factories/a', '/factories/b']),
      type: `device.${kind}`,
      subject: random.chance(0.1) ? subject.toUpperCase() : subject,
      time: `2026-11-20T10:0${random.below(6)}:00Z`,
      ...(definition ? { data: definitionData(random, isMember, kind) } : {}),
    };
  });
}

function definitionData(random: Random, isMember: boolean, kind: string): object {
  const remanufactured = kind === 'manufactured' && random.chance(0.3) ? { remanufactured: true } : {};
  if (isMember) {
    return { product: 'beacon-b2', batch: 'batch-random', ...remanufactured };
  }
  const key = () => Buffer.from(Array.from({ length: 32 }, () => random.below(256))).toString('base64');
  const keys = random.chance(0.3)
    ? { attestation: { type: 'symmetricKey', primaryKey: key(), secondaryKey: key() } }
    : {};
  return { product: 'thermostat-g2', tags: { order: random.below(1_000) }, ...keys, ...remanufactured };
}

function started(): TestEvent {
  return {
    specversion: '1.0',
    id: 'batch',
    source: '/factories/a',
    type: 'batch.started',
    subject: 'batch-random',
    time: '2026-11-20T10:00:00Z',
    data: { product: 'beacon-b2' },
  };
}

async function postInBatches(chain: Chain, events: readonly TestEvent[]): Promise<void> {
  for (let start = 0; start < events.length; start += 50) {
    const response = await chain.post(events.slice(start, start + 50));
    expect(response.status).toBe(202);
  }
}
