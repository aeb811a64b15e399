import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Resident megabytes of a process, and the most that they were. As Linux tells them: elsewhere there is nothing to read. */
export function memoryOf({ pid }: Pick<ChildProcess, 'pid'>): {
  readonly now: number;
  readonly peak: number;
} {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) / 1024;
  return { now: of('VmRSS'), peak: of('VmHWM') };
}
