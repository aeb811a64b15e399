/** A port that the stack was told to use is in use. The message is what the user is shown. */
export class PortTakenError extends Error {
  constructor(port: number, use: string, flag: string) {
    super(
      `Port ${port} is taken, which ${use} needs: stop what uses it, or choose another with ${flag} (0 picks a free one).`,
    );
    this.name = 'PortTakenError';
  }
}

/** What `start` rejects with because of a taken port is made readable; all else stays as it is. */
export async function explainTakenPort<Started>(
  start: Promise<Started>,
  use: string,
  flagFor: (port: number) => string,
): Promise<Started> {
  try {
    return await start;
  } catch (error) {
    const { code, port = 0 } = error as { code?: string; port?: number };
    if (code === 'EADDRINUSE') {
      throw new PortTakenError(port, use, flagFor(port));
    }
    throw error;
  }
}
