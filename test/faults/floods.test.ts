import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Chain } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';
import { requestsSoFar } from '../support/queue.ts';

const flood = 600;

describe(`${flood} events of one device that come at once`, () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start({ env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } });
  });
  afterAll(() => chain?.close());

  it('delay no other device, cost DPS little, and each ends once', async () => {
    const id = 'thermostat-flood';
    await chain.settle(manufactured(id, {}, { minutesAgo: 60 }));
    const before = await requestsSoFar(chain);
    const events = Array.from({ length: flood }, (_, index) =>
      event(index % 2 ? 'device.held' : 'device.released', id, undefined, { minutesAgo: 50 - index / 100 }),
    );
    const others = Array.from({ length: 10 }, (_, index) => manufactured(`thermostat-beside-${index}`));
    await chain.sendToQueue([...events, ...others]);
    await chain.ended(others, 100_000);
    await chain.ended(events, 100_000);
    const last = events.at(-1)!;
    expect(chain.outcomeOf(last)?.type).toBe('enrollment.succeeded');
    expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({ provisioningStatus: 'disabled' });
    expect(await requestsSoFar(chain)).toBeLessThan(before + flood / 2);
    expect(chain.contradictions).toEqual([]);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
  });
});
