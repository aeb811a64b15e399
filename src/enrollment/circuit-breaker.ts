import type { Clock } from '../clock.ts';
import { type DeviceProvisioningError, ForbiddenError, UnauthorizedError } from '../dps/errors.ts';
import type { Log } from '../log.ts';
import { LaterError } from './later-error.ts';

/** What a call needs the right to do. */
export type Access = 'read' | 'write';

const failuresToOpen = 5;
const probeEveryInMs = 30_000;

/** Spares a DPS that does not answer, or refuses us: after a few failures in a row, one call every 30 seconds probes. */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #log: Log;
  #failures = 0;
  #openUntil: number | undefined;
  #lastFailure = '';
  /** Since reading may be allowed still, it proves nothing. */
  #forbidsWriting = false;

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

  succeeded(access: Access): void {
    if (this.#forbidsWriting && access === 'read') {
      // The prober reads before it writes: the next call may go.
      if (this.#openUntil !== undefined) this.#openUntil = this.#clock.now().getTime();
      return;
    }
    if (this.#openUntil !== undefined) this.#log('information', 'dps-available: DPS can be used again.');
    this.#failures = 0;
    this.#openUntil = undefined;
    this.#forbidsWriting = false;
  }

  failed(failure: DeviceProvisioningError, access: Access): void {
    this.#failures++;
    this.#lastFailure = failure.message;
    this.#forbidsWriting ||= failure instanceof ForbiddenError && access === 'write';
    // The client has tried a fresh token already: no other call will fare better.
    if (!(failure instanceof UnauthorizedError) && this.#failures < failuresToOpen) return;
    if (this.#openUntil === undefined)
      this.#log('error', `dps-unavailable: events wait until DPS can be used again. ${failure.message}`);
    this.#openUntil = this.#clock.now().getTime() + probeEveryInMs;
  }

  get isOpen(): boolean {
    return this.#openUntil !== undefined;
  }
}
