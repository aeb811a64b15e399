/**
 * What a cold start spends on our code: importing the deployed bundle, and answering for the first time, beside an app of
 * one empty function. CPU time, because the wall's depends on who else is busy; what is read from disk is cached.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildApp } from '../../src/local/build.ts';
import type { ColdStart } from '../support/cold-start.ts';
import { type ColdStartOptions, coldStart } from '../support/cold-start-process.ts';
import type { Report } from './figure.ts';

const rounds = 9;
const goalInMs = 100;
const project = path.resolve(import.meta.dirname, '../..');

export async function run(report: Report): Promise<void> {
  mkdirSync(path.join(project, '.local'), { recursive: true });
  const folder = mkdtempSync(path.join(project, '.local', 'bundle-'));
  try {
    const ours = path.join(folder, 'ours');
    const { sizeInBytes } = await buildApp(project, ours);
    const empty = await buildEmptyApp(folder);
    const starts = { empty: [] as ColdStart[], alive: [] as ColdStart[], evaluated: [] as ColdStart[] };
    for (let round = 0; round < rounds; round++) {
      starts.empty.push(await answered(empty, { invoke: 'nothing' }));
      starts.alive.push(await answered(ours, { invoke: 'health' }));
      starts.evaluated.push(await answered(ours, { invoke: 'events', body: '{}' }));
    }
    const compare = (name: string, goal: number, value: number, baseline: number) =>
      report({
        name,
        value,
        unit: 'ms',
        baseline,
        ratio: value / baseline,
        goal: `at most ${goal} ms`,
        met: value <= goal,
      });
    const wall = ({ imported }: ColdStart) => imported.wall;
    const cpu = ({ imported }: ColdStart) => imported.cpu;
    const answer = (start: ColdStart) => start.answered?.cpu ?? Number.NaN;
    compare(
      'importing the deployed bundle',
      goalInMs,
      median(starts.alive, wall),
      median(starts.empty, wall),
    );
    compare('the same, CPU time', goalInMs, median(starts.alive, cpu), median(starts.empty, cpu));
    compare(
      'import and first answer, of health; CPU time',
      2 * goalInMs,
      median(starts.alive, answer),
      median(starts.empty, answer),
    );
    compare(
      'import and first event evaluated (400); CPU time',
      2 * goalInMs,
      median(starts.evaluated, answer),
      median(starts.empty, answer),
    );
    const megabytes = sizeInBytes / 1024 / 1024;
    report({
      name: 'size of the deployed bundle',
      value: megabytes,
      unit: 'MB',
      goal: 'at most 3 MB',
      met: megabytes <= 3,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function answered(appDirectory: string, options: ColdStartOptions): Promise<ColdStart> {
  const start = await coldStart(appDirectory, options);
  if (start.answered === undefined) {
    throw new Error(`${options.invoke} did not answer.`);
  }
  return start;
}

async function buildEmptyApp(folder: string): Promise<string> {
  const source = path.join(folder, 'empty-source');
  mkdirSync(path.join(source, 'src/functions'), { recursive: true });
  writeFileSync(path.join(source, 'host.json'), '{ "version": "2.0" }');
  writeFileSync(
    path.join(source, 'src/functions/nothing.ts'),
    "import { app } from '@azure/functions';\napp.http('nothing', { handler: async () => ({ status: 204 }) });\n",
  );
  const built = path.join(folder, 'empty');
  await buildApp(source, built);
  return built;
}

function median(starts: readonly ColdStart[], figure: (start: ColdStart) => number): number {
  const values = starts.map(figure).sort((left, right) => left - right);
  return values[Math.floor(values.length / 2)] ?? Number.NaN;
}
