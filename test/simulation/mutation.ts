/** Runs mutants: each in a copy of the code, until a run of the simulation fails or its steps are made. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Mutant } from './mutants.ts';

const project = path.resolve(import.meta.dirname, '../..');

export type Verdict = 'caught' | 'silent' | 'not applied';

export function tryMutant(mutant: Mutant, steps: number, seed: number): Verdict {
  // Within the project, so that its packages are found.
  const folder = path.join(project, '.local', `mutant-${process.pid}-${seed}`);
  mkdirSync(folder, { recursive: true });
  try {
    for (const part of ['src', 'test/simulation', 'test/support', 'package.json', 'tsconfig.json']) {
      cpSync(path.join(project, part), path.join(folder, part), { recursive: true });
    }
    const file = path.join(folder, mutant.file);
    const code = readFileSync(file, 'utf8');
    if (!code.includes(mutant.find)) {
      return 'not applied';
    }
    writeFileSync(
      file,
      code.replace(mutant.find, () => mutant.replace),
    );
    const directed = path.join(folder, 'test/simulation/pitfalls.test.ts');
    const vitest = path.join(project, 'node_modules/vitest/vitest.mjs');
    const runner = path.join(folder, 'test/simulation/run-once.ts');
    const runs = [
      [vitest, 'run', directed, `--root=${folder}`],
      [runner, String(seed), String(steps)],
    ];
    const isCaught = runs.some(
      (run) => spawnSync(process.execPath, run, { cwd: folder, stdio: 'ignore' }).status !== 0,
    );
    return isCaught ? 'caught' : 'silent';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
