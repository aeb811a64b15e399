import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { LaterError } from './later-error.ts';

const failuresToOpen = 5;
const probeEveryInMs = 30_000;

/** Spares a DPS that does not answer, or refuses us: after a few failures in a row, one call every 30 seconds probes. */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #log: Log;
  #failures = 0;
  #openUntil: number | undefined;
  #lastFailure = '';

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Throws a LaterError while the circuit is open, except to the one caller that probes, and tells it so. */
  enter(): 'probe' | 'pass' {
    if (this.#openUntil === undefined) return 'pass';
    const now = this.#clock.now().getTime();
    // A clock that was set back must not keep the circuit open for as long.
    if (now < this.#openUntil && this.#openUntil - now <= probeEveryInMs)
      throw new LaterError(`DPS cannot be used at present: ${this.#lastFailure}`, {
        notBefore: this.#openUntil,
        soon: true,
      });
    this.#openUntil = now + probeEveryInMs;
    return 'probe';
  }

  succeeded(): void {
    if (this.#openUntil !== undefined) this.#log('information', 'dps-available: DPS can be used again.');
    this.#failures = 0;
    this.#openUntil = undefined;
  }

  /** `forAll`: one is enough, since no other call will fare better. */
  failed(failure: string, forAll: boolean): void {
    this.#failures++;
    this.#lastFailure = failure;
    if (!forAll && this.#failures < failuresToOpen) return;
    if (this.#openUntil === undefined)
      this.#log('error', `dps-unavailable: events wait until DPS can be used again. ${failure}`);
    this.#openUntil = this.#clock.now().getTime() + probeEveryInMs;
  }

  get isOpen(): boolean {
    return this.#openUntil !== undefined;
  }
}
