export type Outcome = 'complete' | 'abandon';

/**
 * Lets only one kind of outcome be settled in a tick. The client merges neighbouring dispositions of one tick into one
 * frame even when their outcomes differ: of complete(a) and abandon(b) side by side, b's would be lost.
 */
export class SettlementTurns {
  #kind: Outcome | undefined;
  #tickEnds: Promise<void> = Promise.resolve();

  /** Resolves in a tick in which this outcome may be settled. */
  async take(outcome: Outcome): Promise<void> {
    while (this.#kind !== undefined && this.#kind !== outcome) {
      await this.#tickEnds;
    }
    if (this.#kind === outcome) {
      return;
    }
    this.#kind = outcome;
    this.#tickEnds = new Promise((resolve) =>
      setImmediate(() => {
        this.#kind = undefined;
        resolve();
      }),
    );
  }
}
