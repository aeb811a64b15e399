import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { mutants } from './mutants.ts';
import { tryMutant } from './mutation.ts';

/** Those that are noticed within seconds; `npm run bench simulation` tries all. */
const quick = [
  'a redelivery goes on with the lease of its chain',
  'a message with keys stays alive until they are applied',
  'keys are read and sent again',
  'after doubt a look follows',
];

it.each(quick)('the simulation notices when this rule is taken out: %s', (rule) => {
  const mutant = mutants.find((each) => each.rule === rule);
  expect(mutant && tryMutant(mutant, 150_000, 4_000)).toBe('caught');
});

it('every mutant still finds the code that it changes', () => {
  const lost = mutants.filter(({ file, find }) => !readFileSync(file, 'utf8').includes(find));
  expect(lost.map(({ rule }) => rule)).toEqual([]);
});
