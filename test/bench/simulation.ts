/** The simulation of the one-holder algorithm at full length, and every rule of it taken out once. */
import { mutants } from '../simulation/mutants.ts';
import { tryMutant } from '../simulation/mutation.ts';
import { simulate } from '../simulation/simulation.ts';
import type { Report } from './figure.ts';

const steps = Number(process.env.STEPS ?? 20_000_000);

export async function run(report: Report): Promise<void> {
  const seed = Math.floor(Math.random() * 1_000_000_000);
  const made = await simulate(seed, steps);
  report({
    name: `simulated steps without a violation (seed ${seed}, ${made.runs} runs)`,
    value: made.steps,
    unit: 'steps',
    goal: `at least ${steps}`,
    met: made.steps >= steps,
  });
  for (const [index, mutant] of mutants.entries()) {
    const verdict = tryMutant(mutant, 400_000, seed + index * 10_000);
    const known = mutant.silent === undefined ? '' : ` (silent: ${mutant.silent})`;
    report({
      name: `rule taken out: ${mutant.rule}${known}`,
      value: verdict === 'caught' ? 1 : 0,
      unit: 'noticed',
      goal: mutant.silent === undefined ? 'noticed' : 'none',
      met: verdict === 'caught' || mutant.silent !== undefined,
    });
  }
}
