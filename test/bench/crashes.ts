/** A thousand kills of the app at its writes: the suite's crash test, at length. `BENCH_KILLS=n` for another number. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Report } from './figure.ts';

const kills = process.env.BENCH_KILLS ?? '1000';
const project = path.resolve(import.meta.dirname, '../..');

export async function run(report: Report): Promise<void> {
  const vitest = path.join(project, 'node_modules/vitest/vitest.mjs');
  const run = spawn(process.execPath, [vitest, 'run', 'test/faults/crashes'], {
    cwd: project,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, KILLS: kills },
  });
  const [code] = await once(run, 'exit');
  report({
    name: `events lost, doubled or left with other keys after ${kills} kills`,
    value: code === 0 ? 0 : 1,
    unit: 'failed runs',
    goal: 'none',
    met: code === 0,
  });
}
