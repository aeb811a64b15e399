import path from 'node:path';
import { readJson } from './app-settings.ts';

export interface HostSettings {
  readonly routePrefix: string;
  readonly serviceBus: {
    readonly maxConcurrentCalls: number;
    readonly autoCompleteMessages: boolean;
    readonly maxAutoLockRenewalDurationInMs: number;
  };
}

const defaultMaxConcurrentCalls = 16;

/** What of host.json matters here. `prefetchCount` does not: the JavaScript client has no such thing in push mode. */
export function readHostJson(appDirectory: string): HostSettings {
  const file = path.join(appDirectory, 'host.json');
  const settings = readJson(file);
  if (settings === undefined) {
    throw new Error(`There is no function app here: ${file} is missing.`);
  }
  const extensions = (settings.extensions ?? {}) as Record<string, Record<string, unknown> | undefined>;
  const serviceBus = extensions.serviceBus ?? {};
  return {
    routePrefix: String(extensions.http?.routePrefix ?? 'api').replace(/^\/+|\/+$/g, ''),
    serviceBus: {
      maxConcurrentCalls: Number(serviceBus.maxConcurrentCalls ?? defaultMaxConcurrentCalls),
      autoCompleteMessages: serviceBus.autoCompleteMessages !== false,
      maxAutoLockRenewalDurationInMs: millisecondsOf(
        String(serviceBus.maxAutoLockRenewalDuration ?? '00:05:00'),
      ),
    },
  };
}

/** A .NET TimeSpan: `[days.]hours:minutes:seconds`. */
export function millisecondsOf(timeSpan: string): number {
  const parts = /^(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d+)?)$/.exec(timeSpan);
  if (parts === null) {
    throw new Error(`'${timeSpan}' is no time span: it should look like 00:05:00.`);
  }
  const [days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0));
  return ((((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
}
