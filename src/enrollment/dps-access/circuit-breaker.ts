import { type DeviceProvisioningError, ForbiddenError } from '../../dps/errors.ts';
import type { Clock } from '../../tools/clock.ts';
import type { Log } from '../../tools/log.ts';
import { handlingOf } from './failure-handling.ts';
import { RetryLaterError } from './retry-later-error.ts';

/** Of what DPS takes only so many: when it has no room for more of one kind, all else goes on. */
export type Creation = 'create-enrollment' | 'create-x509-group' | 'create-symmetric-key-group';

/** What a call needs the right to do. */
export type Access = 'read' | 'write' | Creation;

/** As messages call it, and how the log lines begin that alerts look for. */
export interface ServiceName {
  readonly name: string;
  readonly unavailable: string;
  readonly available: string;
}

const dps: ServiceName = { name: 'DPS', unavailable: 'dps-unavailable', available: 'dps-available' };

const probeEveryInMs = 30_000;

/**
 * Spares a DPS that does not answer, or refuses us: after a few failures in a row, one call every 30 seconds probes.
 * Creations that are forbidden are a circuit of their own for each kind, since a full instance forbids them, too.
 */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #all: Circuit;
  readonly #creations = new Map<Creation, Circuit>();

  readonly #service: ServiceName;

  constructor(clock: Clock, log: Log, service: ServiceName = dps) {
    this.#clock = clock;
    this.#log = log;
    this.#service = service;
    this.#all = new Circuit(clock, log, service);
  }

  /** Throws a RetryLaterError while the circuit is open, except to the one caller that probes, and tells it so. */
  enter(access: Access = 'read'): 'probe' | 'pass' {
    const creation = isCreation(access) ? this.#creations.get(access)?.enter() : undefined;
    const all = this.#all.enter();
    return creation === 'probe' ? 'probe' : all;
  }

  succeeded(access: Access): void {
    this.#all.succeeded(access);
    if (isCreation(access)) {
      this.#creations.get(access)?.succeeded(access);
    }
  }

  failed(failure: DeviceProvisioningError, access: Access): void {
    const isOwn = isCreation(access) && failure instanceof ForbiddenError;
    const circuit = isOwn ? this.#circuitOf(access) : this.#all;
    circuit.failed(failure, access);
  }

  isOpen(access: Access = 'read'): boolean {
    return this.#all.isOpen || (isCreation(access) && this.#creations.get(access)?.isOpen === true);
  }

  #circuitOf(creation: Creation): Circuit {
    const circuit = this.#creations.get(creation) ?? new Circuit(this.#clock, this.#log, this.#service);
    this.#creations.set(creation, circuit);
    return circuit;
  }
}

function isCreation(access: Access): access is Creation {
  return access !== 'read' && access !== 'write';
}

class Circuit {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #service: ServiceName;
  #failures = 0;
  #openUntil: number | undefined;
  #lastFailure = '';
  /** Since reading may be allowed still, it proves nothing. */
  #forbidsWriting = false;

  constructor(clock: Clock, log: Log, service: ServiceName) {
    this.#clock = clock;
    this.#log = log;
    this.#service = service;
  }

  enter(): 'probe' | 'pass' {
    if (this.#openUntil === undefined) {
      return 'pass';
    }
    const now = this.#clock.now().getTime();
    // A clock that was set back must not keep the circuit open for as long.
    if (now < this.#openUntil && this.#openUntil - now <= probeEveryInMs) {
      throw new RetryLaterError(`${this.#service.name} cannot be used at present: ${this.#lastFailure}`, {
        notBefore: this.#openUntil,
        soon: true,
      });
    }
    this.#openUntil = now + probeEveryInMs;
    return 'probe';
  }

  succeeded(access: Access): void {
    if (this.#forbidsWriting && access === 'read') {
      // The prober reads before it writes: the next call may go.
      if (this.#openUntil !== undefined) {
        this.#openUntil = this.#clock.now().getTime();
      }
      return;
    }
    const { name, available } = this.#service;
    if (this.#openUntil !== undefined) {
      this.#log('information', `${available}: ${name} can be used again.`);
    }
    this.#failures = 0;
    this.#openUntil = undefined;
    this.#forbidsWriting = false;
  }

  failed(failure: DeviceProvisioningError, access: Access): void {
    this.#failures++;
    this.#lastFailure = failure.message;
    this.#forbidsWriting ||= failure instanceof ForbiddenError && access !== 'read';
    if (this.#failures < handlingOf(failure).opensAfter) {
      return;
    }
    const { name, unavailable } = this.#service;
    if (this.#openUntil === undefined) {
      this.#log('error', `${unavailable}: events wait until ${name} can be used again. ${failure.message}`);
    }
    this.#openUntil = this.#clock.now().getTime() + probeEveryInMs;
  }

  get isOpen(): boolean {
    return this.#openUntil !== undefined;
  }
}
