import { runHistory } from './histories.ts';
import type { WorldOptions } from './world.ts';

/**
 * Runs random histories until so many steps are made. Every second run closes hubs; every seventh has no faults; every eleventh gives messages three
 * deliveries only, so that some end as dead letters. Throws on the first violation, with its seed and what led to it.
 */
export async function simulate(
  seed: number,
  steps: number,
  options: Omit<WorldOptions, 'seed'> = {},
): Promise<{ readonly runs: number; readonly steps: number }> {
  let made = 0;
  let runs = 0;
  for (; made < steps; runs++) {
    const each = seed + runs;
    made += await runHistory({
      faults: each % 7,
      deliveries: each % 11 === 0 ? 3 : 10,
      closesHubs: each % 2 === 0,
      ...options,
      seed: each,
    });
  }
  return { runs, steps: made };
}
