import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { project } from './imports.ts';

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
}

const read = (file: string) => JSON.parse(readFileSync(path.join(project, file), 'utf8'));
const manifest = read('package.json');
const locked = Object.entries<LockedPackage>(read('package-lock.json').packages).filter(
  ([name]) => name !== '',
);
const nameOf = (place: string) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
const runtimes = Object.keys(manifest.optionalDependencies);

describe('What npm installs', () => {
  it('is checked, package by package, against a checksum of the lock file', () => {
    expect(locked.length).toBeGreaterThan(300);
    expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))).toEqual([]);
  });

  it('runs install scripts of packages only that were decided on', () => {
    const scripts = locked
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([place]) => nameOf(place));
    expect([...new Set(scripts)].filter((name) => !(name in manifest.allowScripts))).toEqual([]);
  });

  it('has exact versions, so that nothing changes by itself', () => {
    const { dependencies, devDependencies, optionalDependencies } = manifest;
    for (const [name, version] of Object.entries({
      ...dependencies,
      ...devDependencies,
      ...optionalDependencies,
    })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });
});

describe('The Node that npm brings', () => {
  it('is in the lock file for each platform, with its checksum, and without an install script', () => {
    const platforms = runtimes.map((name) => {
      const entry = locked.find(([place]) => place === `node_modules/${name}`)?.[1];
      expect(entry?.version, name).toBe(manifest.optionalDependencies[name]);
      expect(entry?.integrity, name).toMatch(/^sha512-/);
      expect(entry?.hasInstallScript, name).toBeUndefined();
      return `${entry?.os} ${entry?.cpu}`;
    });
    expect(platforms.sort()).toEqual(['darwin arm64', 'darwin x64', 'linux arm64', 'linux x64', 'win32 x64']);
  });

  it('is the one that the scripts run on', () => {
    const [own] = runtimes.filter((name) => existsSync(path.join(project, 'node_modules', name)));
    expect(own, 'node_modules is older than package-lock.json: npm ci').toBeDefined();
    const version = execFileSync(path.join(project, 'node_modules/.bin/node'), ['--version'], {
      encoding: 'utf8',
    });
    expect(version.trim()).toBe(`v${manifest.optionalDependencies[own!]}`);
  });
});
