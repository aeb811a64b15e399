/** `node test/simulation/run-once.ts SEED STEPS`: exit 1 and the violation, if there is one. */
import { simulate } from './simulation.ts';

const [seed = '1', steps = '100000'] = process.argv.slice(2);
try {
  console.log(await simulate(Number(seed), Number(steps)));
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
