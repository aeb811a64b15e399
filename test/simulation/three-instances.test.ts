import { expect, it } from 'vitest';

import { simulate } from './simulation.ts';

const seed = Number(process.env.SEED ?? 2_026_112_600);
const steps = Number(process.env.STEPS ?? 500_000);

it(`three instances, interleaved, killed and stalled at every await, keep every promise (SEED=${seed})`, async () => {
  expect((await simulate(seed, steps)).steps).toBeGreaterThanOrEqual(steps);
}, 600_000);
