import { expect, it } from 'vitest';

import { simulate } from './simulation.ts';

const seed = Number(process.env.SEED ?? 2_026_112_600);
const steps = Number(process.env.STEPS ?? 500_000);

it(`so do eight, and one alone (SEED=${seed})`, async () => {
  await simulate(seed, steps * 0.6, { instances: 8, atOnce: 1, faults: 4 });
  const alone = await simulate(seed, steps * 0.4, { instances: 1, atOnce: 6 });
  expect(alone.steps).toBeGreaterThanOrEqual(steps * 0.4);
}, 600_000);
