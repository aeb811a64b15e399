import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ColdStart } from './cold-start.ts';

/** No more than the app needs to start; nothing of it is reached. */
export const settingsOfNothing = {
  DPS_ENDPOINT: 'https://nowhere.azure-devices-provisioning.net',
  ServiceBusConnection__fullyQualifiedNamespace: 'nowhere.servicebus.windows.net',
  AzureWebJobsStorage__accountName: 'nowhere',
};

export interface ColdStartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** An HTTP function to invoke. */
  readonly invoke?: string;
  /** Makes it a POST. */
  readonly body?: string;
}

/** Imports a built app, and invokes one of its functions, in a process of its own. */
export async function coldStart(
  appDirectory: string,
  { env = {}, invoke, body }: ColdStartOptions = {},
): Promise<ColdStart> {
  const script = path.join(import.meta.dirname, 'cold-start.ts');
  const call = invoke === undefined ? [] : [invoke, ...(body === undefined ? [] : ['POST', body])];
  const { stdout } = await promisify(execFile)(process.execPath, [script, appDirectory, ...call], {
    env: { ...process.env, ...settingsOfNothing, ...env },
    cwd: tmpdir(),
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}
