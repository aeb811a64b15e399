import { globSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { readJson } from './app-settings.ts';
import { collectRegistrations } from './core-module.ts';
import type { FunctionApp } from './function-app.ts';

/** Evaluates the modules that package.json `main` names; each registers its functions. */
export async function loadApp(app: FunctionApp, appDirectory: string): Promise<void> {
  const pattern = readJson(path.join(appDirectory, 'package.json'))?.main;
  if (typeof pattern !== 'string') {
    throw new Error(`package.json in ${appDirectory} has no "main".`);
  }
  const files = globSync(pattern, { cwd: appDirectory }).sort();
  if (files.length === 0) {
    throw new Error(`No file in ${appDirectory} matches "main" of package.json: ${pattern}`);
  }
  await collectRegistrations(app, async () => {
    for (const file of files) {
      await import(/* @vite-ignore */ pathToFileURL(path.join(appDirectory, file)).href);
    }
  });
  if (app.functions.size === 0) {
    throw new Error(`${pattern} registers no functions.`);
  }
}
