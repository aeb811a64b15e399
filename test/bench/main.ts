/** `npm run bench [NAME…] [-- --json FILE]`: runs the benchmarks of this folder, or those that are named. */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { answerHelp } from '../../src/local/stack/command-line.ts';
import type { Bench, Figure } from './figure.ts';

const notBenches = new Set(['main.ts', 'figure.ts']);

answerHelp(`Usage: npm run bench -- [NAME…] [--json FILE]     each figure beside a baseline of the same run
  NAME         files of test/bench that run something, without .ts (default: all)
  --json FILE  writes the figures as a JSON array, too`);

const { values, positionals } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true });
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !notBenches.has(file))
  .map((file) => path.basename(file, '.ts'));
const unknown = positionals.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`There is no bench '${unknown.join("', '")}'. There are: ${names.join(', ')}.`);
  process.exit(1);
}

const figures: Figure[] = [];
for (const name of positionals.length > 0 ? positionals : names) {
  const bench: Partial<Bench> = await import(
    pathToFileURL(path.join(import.meta.dirname, `${name}.ts`)).href
  );
  if (bench.run === undefined) {
    continue; // a part of a bench
  }
  await bench.run((figure) => {
    figures.push(figure);
    console.log(describe(figure));
  });
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
}
process.exit(0); // whatever a bench has left open

function describe({ name, value, unit, baseline, ratio, goal, met }: Figure): string {
  const beside = baseline === undefined ? '' : `baseline ${round(baseline)}`;
  const compared = ratio === undefined ? '' : `ratio ${round(ratio)}`;
  return [
    name.padEnd(58),
    `${round(value)} ${unit}`.padStart(16),
    beside.padStart(18),
    compared.padStart(12),
    ` goal: ${goal}`.padEnd(26),
    met ? 'met' : 'short',
  ].join(' ');
}

function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
