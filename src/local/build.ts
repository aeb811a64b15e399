/**
 * `npm run build`: the deployable folder. One bundle in a few files holds the app and all of its dependencies, so that there is no
 * node_modules; what is imported lazily is read lazily there, too.
 */
import { existsSync, globSync } from 'node:fs';
import { copyFile, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { type BundledPackage, bundledPackages, licencesText } from './build-licences.ts';
import { buildPackages } from './build-packages.ts';
import { gettersUnread, undiciPoolAlone } from './build-plugins.ts';
import { answerHelp } from './stack/command-line.ts';

const project = path.resolve(import.meta.dirname, '../..');
const bundleName = 'main.mjs';
const largestBundleInBytes = 3 * 1024 * 1024;

export interface BuiltApp {
  readonly sizeInBytes: number;
  /** What is in each file of the bundle, as paths from the project: `src/…`, `node_modules/…`. */
  readonly sourcesOf: Readonly<Record<string, readonly string[]>>;
  /** Whose code is in the bundle. `THIRD_PARTY_LICENSES.txt` holds their licences. */
  readonly packages: readonly BundledPackage[];
}

/** Builds the functions of a project into a folder, which is emptied first. */
export async function buildApp(projectDirectory: string, outputDirectory: string): Promise<BuiltApp> {
  const entries = globSync('src/functions/*.ts', { cwd: projectDirectory });
  if (entries.length === 0) {
    throw new Error(`There are no src/functions/*.ts in ${projectDirectory}.`);
  }
  await rm(outputDirectory, { recursive: true, force: true });
  await mkdir(outputDirectory, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: projectDirectory,
    metafile: true,
    stdin: {
      contents: entries
        .sort()
        .map((entry) => `import './${entry}';`)
        .join('\n'),
      resolveDir: projectDirectory,
    },
    outdir: outputDirectory,
    outExtension: { '.js': '.mjs' },
    entryNames: 'main',
    chunkNames: 'later-[hash]',
    bundle: true,
    splitting: true, // what is imported lazily is not even parsed at start
    platform: 'node',
    target: 'node22',
    format: 'esm',
    mainFields: ['module', 'main'], // or the Azure libraries that come in both forms would be there twice
    minify: true,
    keepNames: true, // names of error classes are looked at
    legalComments: 'none',
    external: ['@azure/functions-core'], // the host's own
    banner: {
      // CommonJS inside the bundle asks for Node's modules, and for the host's, by require.
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    plugins: [gettersUnread, undiciPoolAlone],
    logLevel: 'warning',
  });
  await copyFile(path.join(projectDirectory, 'host.json'), path.join(outputDirectory, 'host.json'));
  // What pages load is read from beside the bundle.
  const assets = path.join(projectDirectory, 'src/http/pages/assets');
  if (existsSync(assets)) {
    await cp(assets, path.join(outputDirectory, 'assets'), { recursive: true });
  }
  const manifest = {
    name: 'app',
    private: true,
    type: 'module',
    main: bundleName,
    engines: { node: '>=22' },
  };
  await writeFile(path.join(outputDirectory, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  const packages = bundledPackages(projectDirectory, Object.keys(metafile.inputs));
  await writeFile(path.join(outputDirectory, 'THIRD_PARTY_LICENSES.txt'), licencesText(packages));
  const files = Object.entries(metafile.outputs);
  return {
    sizeInBytes: files.reduce((sum, [, { bytes }]) => sum + bytes, 0),
    packages,
    sourcesOf: Object.fromEntries(
      files.map(([file, { inputs }]) => [path.basename(file), Object.keys(inputs)]),
    ),
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  answerHelp(
    'Usage: npm run build     fills dist/, the folder that is deployed: one bundle, without node_modules; and dist/packages/',
  );
  const dist = path.join(project, 'dist');
  const { sizeInBytes } = await buildApp(project, dist);
  const packages = await buildPackages(project, path.join(dist, 'packages'));
  await writeFile(path.join(dist, '.funcignore'), 'packages/\n'); // they are for people, not for Azure
  console.log(`dist/${bundleName} and what it loads later: ${(sizeInBytes / 1024 / 1024).toFixed(2)} MB`);
  console.log(`npm packages: ${packages.map((folder) => path.relative(project, folder)).join(', ')}`);
  if (sizeInBytes > largestBundleInBytes) {
    console.error('The bundle is larger than 3 MB: something is bundled that should not be.');
    process.exit(1);
  }
}
