import { format } from 'node:util';
import type { Log } from './log.ts';
import type { LogLevel } from './protocol.ts';

/** By the stream that Node writes them to. */
const standardOutput = ['log', 'info', 'debug'] as const;
const standardError = ['warn', 'error', 'trace'] as const;

/**
 * Takes what the app writes to its console into the host's log, as the real host does with what its worker writes: a line an
 * entry, its level guessed from stream and text. Answers what gives the console back.
 */
export function takeConsoleLines(log: Log): () => void {
  const original = { ...console };
  const write =
    (levelOf: (line: string) => LogLevel) =>
    (...values: unknown[]) => {
      for (const line of format(...values).split('\n')) {
        log({ level: levelOf(line), category: 'Host.Function.Console', message: line });
      }
    };
  for (const name of standardOutput) {
    console[name] = write(() => 'information');
  }
  for (const name of standardError) {
    console[name] = write(guessedLevel);
  }
  return () => Object.assign(console, original);
}

/** The real host's guess about a line on standard error. */
function guessedLevel(line: string): LogLevel {
  if (/warn/i.test(line)) {
    return 'warning';
  }
  return /error|fail|severe/i.test(line) ? 'error' : 'information';
}
