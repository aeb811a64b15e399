import type { Chain } from './chain.ts';
import type { TestEvent } from './events.ts';

/** Waits until nothing is ready or at work: what is left is scheduled for later. */
export async function allQuiet(chain: Chain, timeoutInMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutInMs;
  for (let quiet = 0; quiet < 3; ) {
    const { active, locked } = chain.stack.serviceBus.counts('manufacturing-events');
    quiet = active + locked === 0 ? quiet + 1 : 0;
    if (Date.now() > deadline) {
      throw new Error('The queue does not come to rest.');
    }
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
}

/** Turns the clock, whenever all is quiet, until all of these have ended: what waits comes again. */
export async function endedInTurnedTime(
  chain: Chain,
  events: readonly TestEvent[],
  { stepInMs = 5_000, steps = 60 } = {},
): Promise<void> {
  for (let step = 0; step < steps && !events.every((each) => chain.outcomeOf(each)); step++) {
    await allQuiet(chain);
    chain.advance(stepInMs);
  }
  await chain.ended(events, 5_000);
}

/** How many requests DPS has answered so far, of some operations. */
export async function requestsSoFar(chain: Chain, operation = /./, status = /./): Promise<number> {
  const { requests } = await chain.stats();
  let sum = 0;
  for (const [name, byStatus] of Object.entries(requests)) {
    for (const [answered, count] of Object.entries(byStatus)) {
      if (operation.test(name) && status.test(answered)) {
        sum += count;
      }
    }
  }
  return sum;
}
