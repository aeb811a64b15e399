import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const directory = join(import.meta.dirname, '../../src/dps');
const importPattern = /^import (type )?[^'"]*['"]([^'"]+)['"];/gm;

function importsOf(file: string) {
  const text = readFileSync(join(directory, file), 'utf8');
  // `import { type A, b }` over several lines is one line here.
  return [...text.replaceAll(/\{[^}]*\}/g, '{}').matchAll(importPattern)].map(([, type, module]) => ({
    module: module!,
    isType: type !== undefined,
  }));
}

describe('The client', () => {
  it.each(readdirSync(directory).filter((name) => name.endsWith('.ts')))(
    'knows nothing of the rest of the project, and loads little: %s',
    (file) => {
      for (const { module, isType } of importsOf(file)) {
        const allowed = isType
          ? /^(?:\.\/[a-z0-9-]+\.ts|node:.+|undici|@azure\/core-(?:auth|paging))$/
          : /^(?:\.\/[a-z0-9-]+\.ts|node:.+)$/;
        expect(module).toMatch(allowed);
      }
    },
  );

  it('loads undici with its first request, and nothing else late', () => {
    const late = readdirSync(directory)
      .filter((name) => name.endsWith('.ts'))
      .flatMap((file) => [...readFileSync(join(directory, file), 'utf8').matchAll(/import\('([^']+)'\)/g)])
      .map(([, module]) => module);
    expect(late).toEqual(['undici']);
  });
});
