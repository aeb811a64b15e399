import type { LogLevel } from './protocol.ts';

export interface LogEntry {
  readonly level: LogLevel;
  /** `Function.<name>.User`, `Function.<name>` or `Host`. */
  readonly category: string;
  readonly message: string;
  readonly invocationId?: string;
}

export type Log = (entry: LogEntry) => void;

const quiet: ReadonlySet<LogLevel> = new Set(['trace', 'debug', 'none']);

/** Where no other log is given: standard error, one entry a line as far as the messages are. */
export function logToStandardError({ level, category, message }: LogEntry): void {
  if (quiet.has(level)) {
    return;
  }
  process.stderr.write(`${new Date().toISOString()} ${level} ${category}: ${message}\n`);
}
