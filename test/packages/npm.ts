import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What `npm pack` made of a package. */
export interface Packed {
  /** The tarball. */
  readonly file: string;
  readonly files: readonly string[];
  readonly manifest: { readonly name: string; readonly dependencies: Readonly<Record<string, string>> };
}

/** Whether packages can be installed here. Says so if not, and fails where they must be: with `CI=true`. */
export function npmIsReachable(): boolean {
  try {
    execFileSync('npm', ['ping', '--fetch-retries=0', '--fetch-timeout=10000'], { stdio: 'ignore' });
    return true;
  } catch {
    const text = 'The npm registry cannot be reached (`npm ping` tells why).';
    if (process.env.CI) {
      throw new Error(text);
    }
    console.warn(`${text} Skipped: the packages installed in an empty project.`);
    return false;
  }
}

export async function npmPack(folder: string, destination: string): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', destination], { cwd: folder });
  const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  if (!packed) {
    throw new Error(`npm pack made nothing of ${folder}.`);
  }
  return {
    file: path.join(destination, packed.filename),
    files: packed.files.map((each) => each.path),
    manifest: JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')),
  };
}

/** Installs into a project that has nothing else, from npm's cache where it can. @returns its `node_modules` */
export async function installFromNpm(folder: string, packages: readonly string[]): Promise<string> {
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-save'];
  await run('npm', ['install', ...flags, ...packages], { cwd: folder });
  return path.join(folder, 'node_modules');
}
