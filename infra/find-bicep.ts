/**
 * Finds the Bicep compiler: on the PATH, else the Azure CLI's, else as a NuGet package that the .NET SDK restores
 * into the user's package folder, once.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const packageVersion = '0.49.2';
/** Older compilers do not know the API versions in these files. */
const oldestVersion = [0, 49] as const;

export const howToGetBicep = `Bicep ${oldestVersion.join('.')} or newer was not found: install it ("az bicep install"), or the .NET SDK, with which it is restored.`;

/** The compiler's path, or undefined where there is none and none can be had. */
export async function findBicep(): Promise<string | undefined> {
  const name = process.platform === 'win32' ? 'bicep.exe' : 'bicep';
  const directories = [...(process.env.PATH ?? '').split(path.delimiter), path.join(homedir(), '.azure/bin')];
  for (const directory of directories) {
    const file = path.join(directory, name);
    if (directory !== '' && existsSync(file) && (await isNewEnough(file))) {
      return file;
    }
  }
  return await restored(name);
}

async function isNewEnough(file: string): Promise<boolean> {
  try {
    const { stdout } = await run(file, ['--version']);
    const [, major, minor] = /(\d+)\.(\d+)\.\d+/.exec(stdout) ?? [];
    if (Number(major) !== oldestVersion[0]) {
      return Number(major) > oldestVersion[0];
    }
    return Number(minor) >= oldestVersion[1];
  } catch {
    return false; // found, but it does not run here
  }
}

async function restored(name: string): Promise<string | undefined> {
  const platform = { linux: 'linux', darwin: 'osx', win32: 'win' }[process.platform as string];
  if (platform === undefined) {
    return undefined;
  }
  const id = `Azure.Bicep.CommandLine.${platform}-${process.arch}`;
  const packages = process.env.NUGET_PACKAGES ?? path.join(homedir(), '.nuget/packages');
  const folder = path.join(packages, id.toLowerCase(), packageVersion);
  const file = path.join(folder, 'tools', name);
  try {
    // The last file that NuGet writes: without it, the folder is half a package.
    if (!existsSync(path.join(folder, '.nupkg.metadata'))) {
      await restore(id, packages);
    }
    await chmod(file, 0o755);
    return (await isNewEnough(file)) ? file : undefined;
  } catch {
    return undefined; // no SDK, no network, or no such package for this kind of machine
  }
}

async function restore(id: string, packages: string): Promise<void> {
  // A folder of its own, so that two processes do not disturb each other; NuGet itself locks the package folder.
  const folder = await mkdtemp(path.join(tmpdir(), 'bicep-restore-'));
  try {
    const project = path.join(folder, 'bicep.csproj');
    await writeFile(
      project,
      `<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>netstandard2.0</TargetFramework>
    <DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>
  </PropertyGroup>
  <ItemGroup>
    <PackageDownload Include="${id}" Version="[${packageVersion}]" />
  </ItemGroup>
</Project>
`,
    );
    await run('dotnet', ['restore', project, '--packages', packages], { timeout: 300_000 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
