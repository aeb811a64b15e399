import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Adds the values of local.settings.json, where there is one, to the environment. What is there already stays. */
export function loadLocalSettings(appDirectory: string): void {
  const settings = readJson(path.join(appDirectory, 'local.settings.json'));
  for (const [name, value] of Object.entries((settings?.Values ?? {}) as Record<string, unknown>)) {
    process.env[name] ??= String(value);
  }
}

/** The members of a JSON file; undefined where there is no such file. */
export function readJson(file: string): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as Record<string, unknown>;
  } catch (error) {
    throw new Error(`${file} is no valid JSON: ${(error as Error).message}`);
  }
}

/** `%NAME%` in a binding stands for a setting. */
export function resolveSettings(text: string): string {
  return text.replace(/%([^%]+)%/g, (_whole, name: string) => {
    const value = process.env[name];
    if (!value) {
      throw new Error(`'%${name}%' does not resolve: there is no setting '${name}'.`);
    }
    return value;
  });
}

export function isDisabled(functionName: string): boolean {
  return /^(1|true)$/i.test(process.env[`AzureWebJobs.${functionName}.Disabled`] ?? '');
}
