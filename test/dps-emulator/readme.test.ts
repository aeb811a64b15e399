import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { registrationFailures, serviceErrors } from '../../src/local/dps/errors.ts';

it('lists every error code that is a guess or a choice among the differences from Azure', async () => {
  const readme = await readFile(join(import.meta.dirname, '../../src/local/dps/README.md'), 'utf8');
  const differences = readme.slice(readme.indexOf('## Differences from Azure'));
  const rows = [...Object.values(serviceErrors), ...Object.values(registrationFailures)];
  const guessed = rows.filter(({ evidence }) => evidence === 'code guessed' || evidence === 'chosen');
  expect(guessed.length).toBeGreaterThan(10);
  for (const { code } of guessed) {
    expect(differences).toContain(String(code));
  }
});

it('has codes that begin with their status', () => {
  for (const { code, status } of Object.values(serviceErrors)) {
    expect(Math.floor(code / 1000)).toBe(status);
  }
});
