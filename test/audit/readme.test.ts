import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { findingCodes } from '../../src/audit/finding.ts';

describe('the README of the audit', () => {
  it('explains every code that the audit has, and no other', () => {
    const section = /## What the audit finds\n(.*?)\n## /s.exec(
      readFileSync('src/audit/README.md', 'utf8'),
    )?.[1];
    const rows = [...(section ?? '').matchAll(/^\| `([a-z-]+)`/gm)].map(([, code]) => code);
    expect(rows).toEqual([...findingCodes]);
  });
});
