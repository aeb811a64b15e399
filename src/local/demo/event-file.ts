import { readFileSync } from 'node:fs';
import { decodeJsonText, decodeUtf8 } from '../../events/decode-json.ts';

export type EventJson = Record<string, unknown>;

/**
 * A JSON array of CloudEvents, or one a line, in UTF-8. A line that is no JSON is kept as it is: it is the receiver's to
 * evaluate. Throws where the file's bytes, or an array, could not be sent as they are.
 */
export function readEventFile(file: string): string[] {
  const text = decodeUtf8(readFileSync(file));
  if (text === undefined) {
    throw new Error(`${file} is not UTF-8. Save it as UTF-8, and send it again.`);
  }
  if (!text.trimStart().startsWith('[')) {
    return text.split(/\r?\n/).filter((line) => line.trim() !== '');
  }
  const { value, problem } = { value: undefined, ...decodeJsonText(text) };
  if (problem) {
    throw new Error(`${file} cannot be sent${problem.pointer && `: ${problem.pointer}`}. ${problem.detail}`);
  }
  return (value as unknown[]).map((event) => JSON.stringify(event));
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
