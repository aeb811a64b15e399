import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Compiles, lints and format-checks every Bicep file of a folder. Resolves to what is wrong, a line each. Works on a
 * copy: the compiler writes its results beside its input.
 */
export async function checkBicep(bicep: string, infra: string): Promise<string[]> {
  const copy = await mkdtemp(path.join(tmpdir(), 'check-bicep-'));
  try {
    await cp(infra, copy, { recursive: true });
    const sources = globSync('**/*.{bicep,bicepparam}', { cwd: copy }).sort();
    const findings = new Set<string>();
    const commands = [
      ['lint', '**/*.bicep'],
      ['build-params', '**/*.bicepparam'],
    ] as const;
    const compiled = commands.map(async ([command, pattern]) => {
      const result = await runBicep(bicep, [command, '--pattern', pattern], copy);
      const said = result.output.split('\n').filter((line) => /\b(?:Error|Warning)\b/.test(line));
      for (const line of said) {
        findings.add(line.replaceAll(`${copy}${path.sep}`, 'infra/'));
      }
      if (result.failed && said.length === 0) {
        findings.add(`bicep ${command}: ${result.output.trim()}`);
      }
    });
    await Promise.all(compiled);
    await formatBicep(bicep, copy);
    for (const source of sources) {
      const [is, shouldBe] = await Promise.all([infra, copy].map((at) => readFile(path.join(at, source))));
      if (is?.equals(shouldBe ?? Buffer.alloc(0))) {
        continue;
      }
      findings.add(`infra/${source}: not formatted; run npm run format:bicep`);
    }
    return [...findings];
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Formats them in place. */
export async function formatBicep(bicep: string, infra: string): Promise<void> {
  await runBicep(bicep, ['format', '--pattern', '**/*.bicep*'], infra);
}

/** What the compiler said, on either stream; it exits 0 where it only warns. */
function runBicep(
  bicep: string,
  parameters: readonly string[],
  cwd: string,
): Promise<{ readonly output: string; readonly failed: boolean }> {
  return new Promise((resolve) => {
    execFile(bicep, [...parameters], { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ output: `${stdout}\n${stderr}`, failed: error !== null });
    });
  });
}
