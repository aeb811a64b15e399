import { Services } from './services.ts';
import { readSettings } from './settings.ts';

/** The app: settings are read now, so that a wrong one stops the start; services are built on first use. */
export const services = new Services(readSettings(process.env));
