import { readFileSync } from 'node:fs';

export type EventJson = Record<string, unknown>;

/** A JSON array of CloudEvents, or one a line. A line that is no JSON is kept as it is: it is the receiver's to judge. */
export function readEventFile(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  if (text.trimStart().startsWith('['))
    return (JSON.parse(text) as unknown[]).map((event) => JSON.stringify(event));
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}

/** Moves all times by the same distance, so that the last of them is `last`. */
export function shiftTimes(events: readonly EventJson[], last: Date): EventJson[] {
  const times = events.map(({ time }) => Date.parse(String(time)));
  const distance = last.getTime() - Math.max(...times);
  return events.map((event, index) => ({
    ...event,
    time: new Date((times[index] ?? 0) + distance).toISOString(),
  }));
}
