import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { checkBicep } from '../../infra/check-bicep.ts';
import { bicep, describeBicep, infra } from '../support/bicep.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'infra-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A folder with our rules and one Bicep file, and a parameter file for it. */
function write(name: string, source: string, parameters = ''): string {
  const at = path.join(folder, name);
  mkdirSync(at);
  cpSync(path.join(infra, 'bicepconfig.json'), path.join(at, 'bicepconfig.json'));
  writeFileSync(path.join(at, 'main.bicep'), source);
  writeFileSync(path.join(at, 'main.bicepparam'), `using 'main.bicep'\n${parameters}`);
  return at;
}

describeBicep('npm run check', () => {
  it('finds nothing in a file that is right', async () => {
    const at = write('right', "@description('Echo.')\noutput echo string = 'hello'\n");
    expect(await checkBicep(bicep ?? '', at)).toEqual([]);
  });

  it('finds what does not compile, what the linter does not like, and what is not formatted', async () => {
    const source = "param unused  string\noutput echo int = 'hello'\n";
    const at = write('wrong', source, "\nparam unused = 'x'\n");
    const findings = (await checkBicep(bicep ?? '', at)).join('\n');
    expect(findings).toMatch(/^infra\/main\.bicep\(1,7\) : Error no-unused-params/m);
    expect(findings).toMatch(/^infra\/main\.bicep\(2,\d+\) : Error BCP033/m);
    expect(findings).toContain('infra/main.bicep: not formatted; run npm run format:bicep');
    expect(readFileSync(path.join(at, 'main.bicep'), 'utf8')).toBe(source); // to check is not to change
  });
});
