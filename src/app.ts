import type { Services } from './services.ts';
import { readSettings } from './settings.ts';

/** The app: settings are read now, so that a wrong one stops the start. */
export const settings = readSettings(process.env);

let loaded: Promise<Services> | undefined;

/** What the functions call. Loaded by the first invocation that needs it, so that a cold start is short. */
export function services(): Promise<Services> {
  loaded ??= import('./services.ts').then(({ Services }) => new Services(settings));
  return loaded;
}

// The packaged files are under test; one of somebody's own is a setting, and a wrong one stops the start, too.
if ((settings.enrollmentProfilesFile ?? settings.sendersFile) !== undefined) await services();
