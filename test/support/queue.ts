import type { Chain } from './chain.ts';

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
