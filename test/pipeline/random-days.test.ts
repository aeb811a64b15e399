import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectDevicesInDps } from '../support/as-expected.ts';
import { Chain } from '../support/chain.ts';
import { keyOf, type TestEvent } from '../support/events.ts';
import { Random } from '../support/random.ts';
import { randomLife, startedBatch } from '../support/random-lives.ts';

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
    const lives = Array.from({ length: devices }, (_, index) =>
      randomLife(random, `r${index}`, { eventsAtMost: 7, batch: 'batch-random' }),
    );
    const batch = startedBatch('batch-random');
    const events = [batch, ...lives.flat()];
    const sent = random.shuffled([...events, ...events.filter(() => random.chance(0.3))]);
    const half = Math.ceil(sent.length / 2);
    await Promise.all([chain.sendToQueue(sent.slice(0, half)), postInBatches(chain, sent.slice(half))]);
    await chain.ended(events, 110_000);

    await expectDevicesInDps(chain, lives);
    const keys = new Set(events.map(keyOf));
    const ended = [...chain.listener.outcomes.values()].filter(({ id }) => keys.has(id));
    expect(ended).toHaveLength(keys.size);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
    expect(chain.contradictions).toEqual([]);
  }, 150_000);
});

async function postInBatches(chain: Chain, events: readonly TestEvent[]): Promise<void> {
  for (let start = 0; start < events.length; start += 50) {
    const response = await chain.post(events.slice(start, start + 50));
    expect(response.status).toBe(202);
  }
}
