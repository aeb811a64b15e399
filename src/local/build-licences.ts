/** The licences of what is deployed: whoever passes the bundle on passes other people's code on, with their terms. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A package that is in the bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** An SPDX identifier. */
  readonly licence: string;
  /** What its licence file, and its notices, say; empty where it brings none. */
  readonly text: string;
}

/** Licences that ask for no more than to be named. Another one is for somebody to decide on. */
const allowed = new Set([
  'MIT',
  '(MIT OR Apache-2.0)',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
]);

/**
 * @param inputs - the files of the bundle, as esbuild names them.
 * @throws Error if a package has a licence that nobody has decided on.
 */
export function bundledPackages(project: string, inputs: readonly string[]): BundledPackage[] {
  const folders = new Set(inputs.flatMap((input) => packageFolder(path.resolve(project, input)) ?? []));
  const packages = [...folders].map(read).sort((a, b) => a.name.localeCompare(b.name, 'en'));
  for (const { name, version, licence } of packages) {
    if (!allowed.has(licence)) {
      throw new Error(
        `${name} ${version} has the licence ${licence || 'of nobody knows what'}. If it may be deployed, add it to ALLOWED in src/local/build-licences.ts.`,
      );
    }
  }
  return packages;
}

/** The file that lies beside the bundle. */
export function licencesText(packages: readonly BundledPackage[]): string {
  const parts = packages.map(({ name, version, licence, text }) =>
    [`${name} ${version} (${licence})`, text || 'The package brings no licence file.'].join('\n\n'),
  );
  return `${['Software of others that is part of this app.', ...parts].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

function packageFolder(file: string): string | undefined {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file.replaceAll('\\', '/'))?.[0];
}

function read(folder: string): BundledPackage {
  const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  const files = globSync('{LICENSE,LICENCE,license,NOTICE}{,.*}', { cwd: folder }).sort();
  const texts = files.map((file) => readFileSync(path.join(folder, file), 'utf8').trim());
  return { name, version, licence: license ?? '', text: texts.join('\n\n') };
}
