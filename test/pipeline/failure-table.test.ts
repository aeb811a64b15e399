import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { failureHandling, otherFailures } from '../../src/enrollment/dps-access/failure-handling.ts';
import { failureTable, handlingOfCode, handlingOfStatus, networkFailures } from '../support/failure-table.ts';

const readme = 'src/enrollment/README.md';
const between = /(<!-- failures -->\n)[\s\S]*?(<!-- \/failures -->)/;

describe('what a failure of DPS means', () => {
  it('stands in the README as the code has it (UPDATE=1 writes it there)', () => {
    const text = readFileSync(readme, 'utf8');
    expect(between.test(text), 'the place for it').toBe(true);
    const current = text.replace(between, (_, begin, end) => `${begin}\n${failureTable()}\n\n${end}`);
    if (process.env.UPDATE) {
      writeFileSync(readme, current);
    } else {
      expect(text === current, `${readme} has another table than\n${failureTable()}`).toBe(true);
    }
  });

  it('is no reason to reject an event, except where the request itself is at fault', () => {
    const rejecting = Array.from({ length: 300 }, (_, index) => 300 + index).filter(
      (status) => handlingOfStatus(status).event === 'rejected',
    );
    expect(rejecting).toEqual([400, 405, 406, 411, 413, 414, 415, 422, 431]);
    for (const code of [...Object.values(networkFailures).flat(), 'UND_ERR_ABORTED', 'SOMETHING_NEW']) {
      expect(handlingOfCode(code), code).toMatchObject({ event: 'retrying', opensAfter: 5 });
    }
  });

  it('is said once for every class of error, the special ones first', () => {
    const classes = failureHandling.map(({ errorClass }) => errorClass);
    expect(new Set(classes).size).toBe(classes.length);
    expect(classes).not.toContain(otherFailures.errorClass);
  });
});
