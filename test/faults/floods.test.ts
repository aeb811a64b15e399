import { afterEach, describe, expect, it } from 'vitest';

import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured, type TestEvent } from '../support/events.ts';
import { requestsSoFar } from '../support/queue.ts';

/** Many times what a list of pending events holds. `FLOOD=5000` for more; it takes a minute or two. */
const flood = Number(process.env.FLOOD ?? 1_000);

describe(`${flood} events of one device that come at once`, () => {
  let chain: Chain;
  afterEach(() => chain?.close());

  const ended = (events: readonly TestEvent[]) => events.filter((each) => chain.outcomeOf(each)).length;
  const allEnded = (events: readonly TestEvent[]) =>
    eventually(
      async () => {
        chain.advance(250);
        return ended(events) === events.length;
      },
      'all end',
      20 * flood + 40_000,
    );

  it.each([3, 8])(
    'delay no other device, cost DPS little, and each ends once, with %i instances',
    async (count) => {
      chain = await Chain.start({ apps: 0 });
      const instances = Array.from({ length: count }, () => chain.startInstance());
      const id = 'thermostat-flood';
      await chain.settle(manufactured(id, {}, { minutesAgo: 60 }));
      const before = await requestsSoFar(chain);
      const events = Array.from({ length: flood }, (_, index) =>
        event(index % 2 ? 'device.held' : 'device.released', id, undefined, {
          minutesAgo: 50 - index / 1_000,
        }),
      );
      const others = Array.from({ length: 10 }, (_, index) => manufactured(`thermostat-beside-${index}`));
      await chain.sendToQueue([...events, ...others]);
      await allEnded(others);
      expect(ended(events), 'they were last, and have not waited for these').toBeLessThan(flood / 2);
      await allEnded(events);
      expect(chain.outcomeOf(events.at(-1)!)?.type).toBe('enrollment.succeeded');
      expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({ provisioningStatus: 'disabled' });
      expect(await requestsSoFar(chain)).toBeLessThan(before + flood / 5);
      expect(chain.contradictions).toEqual([]);
      expect(instances.flatMap(({ thrown }) => thrown)).toEqual([]);
      expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
    },
    20 * flood + 120_000,
  );
});
