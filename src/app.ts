import type { Services } from './services.ts';
import { type Environment, readSettings, type Settings } from './settings.ts';
import { consoleLog as log } from './tools/log.ts';

/** The app: settings are read now, so that a wrong one stops the start. */
export const settings = settingsOf(process.env);

let loaded: Promise<Services> | undefined;

/** What the functions call. Loaded by the first invocation that needs it, so that a cold start is short. */
export function services(): Promise<Services> {
  loaded ??= import('./services.ts').then(({ Services }) => new Services(settings));
  return loaded;
}

// The packaged files are under test; one of somebody's own is a setting, and a wrong one stops the start, too.
if ((settings.enrollmentProfilesFile ?? settings.sendersFile) !== undefined) {
  await services().catch(sayWhyItDoesNotStart);
}

function settingsOf(environment: Environment): Settings {
  try {
    return readSettings(environment);
  } catch (error) {
    return sayWhyItDoesNotStart(error);
  }
}

/** Azure goes on without any function and says no more than what is written here: an alert looks for this line. */
function sayWhyItDoesNotStart(error: unknown): never {
  log('error', 'start-failed', { why: error instanceof Error ? error.message : String(error) });
  throw error;
}
