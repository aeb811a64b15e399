/** Runs a command; what it throws is one line on standard error, and exit code 1. */
export async function commandLine(run: () => Promise<void>): Promise<void> {
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
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new Error(`${flag} takes a port number (0 picks a free one), not '${text}'.`);
}
