/** Says how a command is used, if that is asked; ends the process then. */
export function answerHelp(usage: string): void {
  if (!process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
    return;
  }
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}

/** Runs a command, or says how it is used. What it throws is one line on standard error, and exit code 1. */
export async function commandLine(usage: string, run: () => Promise<void>): Promise<void> {
  answerHelp(usage);
  try {
    await run();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${message.replaceAll('\n', ' ')}\n`);
    process.exit(1);
  }
}

export function portFrom(flag: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) {
    return port;
  }
  throw new Error(`${flag} takes a port number (0 picks a free one), not '${text}'.`);
}
