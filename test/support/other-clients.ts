import { type ExecFileException, execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe } from 'vitest';

const run = promisify(execFile);
const mustBeThere = process.env.CI === 'true';

/** A step of a client's program, and what came of it. */
export interface Step {
  readonly name: string;
  readonly result?: unknown;
  readonly error?: string;
  readonly message?: string;
}

/** A `describe` whose tests are skipped where its client cannot be had; with `CI=true` they fail there. */
export function describeWith(
  client: string | undefined,
  howToGetIt: string,
  name: string,
  tests: (client: string) => void,
): void {
  if (client !== undefined) {
    describe(name, () => tests(client));
    return;
  }
  if (!mustBeThere) {
    console.warn(`${howToGetIt} Skipped: ${name}.`);
    describe.skip(name, () => tests(''));
    return;
  }
  describe(name, () => {
    beforeAll(() => {
      throw new Error(howToGetIt);
    });
    tests('');
  });
}

/** A Python that has the module: Debian's own comes first, because its packages are for that one. */
export async function findPython(module: string): Promise<string | undefined> {
  for (const python of ['/usr/bin/python3', 'python3']) {
    try {
      await run(python, ['-c', `import ${module}`]);
      return python;
    } catch {
      // not this one
    }
  }
  return undefined;
}

/** Builds the project once for as long as it stays as it is. Undefined where there is no SDK, or no package to be had. */
export async function buildDotnet(project: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  for (const file of ['client.csproj', 'Program.cs']) {
    hash.update(readFileSync(path.join(project, file)));
  }
  const folder = path.join(tmpdir(), `dotnet-client-${hash.digest('hex').slice(0, 16)}`);
  const output = path.join(folder, 'out', 'client.dll');
  if (existsSync(output)) {
    return output;
  }
  await mkdir(folder, { recursive: true });
  const properties = [`-p:BaseIntermediateOutputPath=${folder}/obj/`, '-nologo', '-v:q'];
  try {
    await run('dotnet', ['build', project, '-o', path.dirname(output), ...properties], { timeout: 240_000 });
    return output;
  } catch {
    return undefined;
  }
}

/** The steps that a program printed, by name. What it says besides, and how it ends, matters only if there are none. */
export async function stepsOf(command: string, parameters: readonly string[]): Promise<Record<string, Step>> {
  const said = await run(command, [...parameters], { timeout: 120_000 }).catch(
    (error: ExecFileException) => error,
  );
  const lines = (said.stdout ?? '').split('\n').filter((line) => line.startsWith('{'));
  if (lines.length === 0) {
    throw new Error(`${command} printed no step: ${said.stderr}`);
  }
  const steps = lines.map((line) => JSON.parse(line) as Step);
  return Object.fromEntries(steps.map((step) => [step.name, step]));
}
