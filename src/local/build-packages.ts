/**
 * The two npm packages that `npm run build` makes in `dist/packages/`: JavaScript, types and source maps by the TypeScript
 * compiler, file by file. Nothing is bundled, and nothing is published from here.
 */
import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** Where a package's own `package.json` lies, with `index.ts`, README.md and perhaps samples. */
interface PackageSource {
  readonly folder: string;
  /** Everything that the package's code imports lies below it. */
  readonly root: string;
}

const sources: readonly PackageSource[] = [
  { folder: 'src/dps', root: 'src/dps' },
  { folder: 'src/local/dps', root: 'src' },
];

/** What `package.json` of a source says. */
interface SourceManifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly private?: boolean;
  readonly exports: string;
}

interface ProjectManifest {
  readonly author?: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** @returns the folders of the packages, each ready for `npm pack`. */
export async function buildPackages(project: string, outputDirectory: string): Promise<string[]> {
  await rm(outputDirectory, { recursive: true, force: true });
  await mkdir(outputDirectory, { recursive: true });
  const repository = await repositoryOf(project);
  return Promise.all(
    sources.map(async (source) => {
      const manifest = readJson<SourceManifest>(path.join(project, source.folder, 'package.json'));
      const output = path.join(outputDirectory, path.basename(manifest.name));
      await compile(project, source, manifest, output);
      await copyFile(path.join(project, 'LICENSE'), path.join(output, 'LICENSE'));
      await copyFile(path.join(project, source.folder, 'README.md'), path.join(output, 'README.md'));
      const samples = path.join(project, source.folder, 'samples');
      if (existsSync(samples)) {
        await cp(samples, path.join(output, 'samples'), { recursive: true });
      }
      const published = publishedManifest(project, source, manifest, output, repository);
      await writeFile(path.join(output, 'package.json'), `${JSON.stringify(published, undefined, 2)}\n`);
      return output;
    }),
  );
}

/** The address of the repository that the package is built from, or nothing in a clone without `origin`. */
async function repositoryOf(project: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('git', ['config', '--get', 'remote.origin.url'], {
      cwd: project,
    });
    return publicRepositoryUrl(stdout.trim());
  } catch {
    return undefined;
  }
}

/** `git+https://host/owner/name.git` of a remote's address, without who signs in there; a local path is none. */
export function publicRepositoryUrl(remote: string): string | undefined {
  const parts =
    /^(?:(?:https?|ssh|git):\/\/)?(?:[^@/]+@)?([\w.-]+\.[a-z]+)(?::\d+)?[:/](.+?)(?:\.git)?\/?$/.exec(remote);
  return parts ? `git+https://${parts[1]}/${parts[2]}.git` : undefined;
}

async function compile(
  project: string,
  { folder, root }: PackageSource,
  { exports, bin = {} }: SourceManifest,
  output: string,
): Promise<void> {
  const config = path.join(output, 'tsconfig.json');
  await mkdir(output, { recursive: true });
  await writeFile(
    config,
    JSON.stringify({
      extends: path.join(project, 'tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        rewriteRelativeImportExtensions: true,
        target: 'es2023', // what Node 22 runs as it is
        declaration: true,
        sourceMap: true,
        inlineSources: true,
        stripInternal: true,
        rootDir: path.join(project, root),
        outDir: path.join(output, 'lib'),
        typeRoots: [path.join(project, 'node_modules/@types')],
      },
      include: [],
      files: [exports, ...Object.values(bin)].map((file) => path.join(project, folder, file)),
    }),
  );
  const compiler = path.join(project, 'node_modules/typescript/bin/tsc');
  try {
    await promisify(execFile)(process.execPath, [compiler, '-p', config], { cwd: project });
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    throw new Error(`The TypeScript compiler cannot build ${folder}:\n${stdout}`, { cause: error });
  }
  await rm(config);
  await Promise.all(
    globSync('lib/**/*.d.ts', { cwd: output }).map((file) => importJavaScript(path.join(output, file))),
  );
}

/** The compiler rewrites `./file.ts` to `./file.js` in code, but not in types. */
async function importJavaScript(typesFile: string): Promise<void> {
  const types = await readFile(typesFile, 'utf8');
  await writeFile(
    typesFile,
    types.replaceAll(/((?:from |import |import\()['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2'),
  );
}

function publishedManifest(
  project: string,
  { folder, root }: PackageSource,
  { exports, bin, private: _unpublished, ...manifest }: SourceManifest,
  output: string,
  repository: string | undefined,
) {
  const emitted = (file: string, extension: string) =>
    `./${path.posix.join('lib', path.posix.relative(root, path.posix.join(folder, file)))}`.replace(
      /\.ts$/,
      extension,
    );
  return {
    ...manifest,
    ...(repository && { repository: { type: 'git', url: repository, directory: folder } }),
    exports: {
      '.': { types: emitted(exports, '.d.ts'), default: emitted(exports, '.js') },
      './package.json': './package.json',
    },
    types: emitted(exports, '.d.ts'),
    ...(bin && {
      bin: Object.fromEntries(
        Object.entries(bin).map(([name, file]) => [name, emitted(file, '.js').slice(2)]),
      ),
    }),
    files: existsSync(path.join(output, 'samples')) ? ['lib', 'samples'] : ['lib'],
    dependencies: dependenciesOf(project, output),
  };
}

/** In what the compiler writes, a statement begins a line; templates hold texts that look like imports. */
const bareImport =
  /(?:^(?:(?:import|export)\b[^'"\n]*|\} )from |^import |\bimport\()['"]((?!node:)(?:@[\w.-]+\/)?[\w-][\w.-]*)/gm;

/** What the package's code and types import, in the versions that this project is tested with, or compatible ones. */
function dependenciesOf(project: string, output: string): Record<string, string> {
  const { dependencies, devDependencies } = readJson<ProjectManifest>(path.join(project, 'package.json'));
  const versions: Record<string, string | undefined> = { ...devDependencies, ...dependencies };
  const names = globSync('lib/**/*.{js,d.ts}', { cwd: output }).flatMap((file) =>
    [...readFileSync(path.join(output, file), 'utf8').matchAll(bareImport)].map(([, name = '']) => name),
  );
  return Object.fromEntries(
    [...new Set(names)].sort().map((name) => {
      const version = versions[name];
      if (version === undefined) {
        throw new Error(`${path.basename(output)} imports ${name}, which package.json does not list.`);
      }
      return [name, `^${version}`];
    }),
  );
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, 'utf8')) as T;
}
