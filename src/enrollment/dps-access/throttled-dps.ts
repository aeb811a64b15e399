import { DeviceProvisioningError, ThrottledError } from '../../dps/errors.ts';
import type { Clock } from '../../tools/clock.ts';
import type { Access, CircuitBreaker } from './circuit-breaker.ts';
import { handlingOf } from './failure-handling.ts';
import type { OperationsBudget } from './operations-budget.ts';
import type { CallerClass } from './quota-window.ts';
import { RetryLaterError } from './retry-later-error.ts';

const firstPauseInMs = 500;
const throttledPauseInMs = 2_000;
const longestRetryAfterInMs = 3_600_000;

export interface CallOptions {
  readonly access?: Access;
  /** Asked once the token is there: what waited for it may have changed meanwhile. */
  readonly isWanted?: () => Promise<boolean>;
}

/**
 * The way to DPS: every call waits for its token, respects the circuit breaker, and is repeated in place while its
 * caller's time lasts. What DPS says about the request itself (400, 404, 409, 412) goes to the caller; all else
 * becomes a RetryLaterError.
 */
export class ThrottledDps {
  readonly #budget: Pick<OperationsBudget, 'acquire' | 'giveBack' | 'throttled'>;
  readonly #breaker: CircuitBreaker;
  readonly #clock: Clock;

  constructor(
    budget: Pick<OperationsBudget, 'acquire' | 'giveBack' | 'throttled'>,
    breaker: CircuitBreaker,
    clock: Clock,
  ) {
    this.#budget = budget;
    this.#breaker = breaker;
    this.#clock = clock;
  }

  /** Undefined only where `isWanted` says no once the token is there: the token is then given back. */
  async call<T>(
    callerClass: CallerClass,
    deadline: number,
    operation: () => Promise<T>,
    options: CallOptions & { readonly isWanted: () => Promise<boolean> },
  ): Promise<T | undefined>;
  async call<T>(
    callerClass: CallerClass,
    deadline: number,
    operation: () => Promise<T>,
    options?: { readonly access?: Access },
  ): Promise<T>;
  async call<T>(
    callerClass: CallerClass,
    deadline: number,
    operation: () => Promise<T>,
    { access = 'read', isWanted }: CallOptions = {},
  ): Promise<T | undefined> {
    for (let attempt = 1; ; attempt++) {
      const entered = this.#breaker.enter(access);
      await this.#budget.acquire(callerClass, deadline);
      if (isWanted && !(await this.#orGiveBack(callerClass, isWanted))) {
        return undefined;
      }
      // Others may have found out meanwhile that DPS is down.
      if (entered === 'pass') {
        this.#breaker.enter(access);
      }
      let failure: DeviceProvisioningError;
      try {
        const result = await operation();
        this.#breaker.succeeded(access);
        return result;
      } catch (error) {
        if (!(error instanceof DeviceProvisioningError)) {
          throw error;
        }
        failure = error;
      }
      if (handlingOf(failure).event !== 'retrying') {
        this.#breaker.succeeded(access);
        throw failure;
      }
      await this.#waitOrGiveUp(failure, access, attempt, deadline);
    }
  }

  async #orGiveBack(callerClass: CallerClass, isWanted: () => Promise<boolean>): Promise<boolean> {
    let wanted = false;
    try {
      wanted = await isWanted();
    } finally {
      if (!wanted) {
        this.#budget.giveBack(callerClass);
      }
    }
    return wanted;
  }

  async #waitOrGiveUp(
    failure: DeviceProvisioningError,
    access: Access,
    attempt: number,
    deadline: number,
  ): Promise<void> {
    const now = this.#clock.now().getTime();
    const told = Math.min(failure.retryAfterInMs ?? 0, longestRetryAfterInMs);
    const throttled = failure instanceof ThrottledError;
    if (!throttled) {
      this.#breaker.failed(failure, access);
    }
    const later = new RetryLaterError(failure.message, {
      ...(told > 0 ? { notBefore: now + told } : {}),
      trackingId: failure.trackingId,
      soon: throttled || this.#breaker.isOpen(access),
      cause: failure,
    });
    if (throttled) {
      await this.#budget.throttled(told || throttledPauseInMs);
      // The next token comes no earlier than that.
      if (now + told > deadline) {
        throw later;
      }
      return;
    }
    const pause = Math.max(told, firstPauseInMs * 2 ** (attempt - 1) * (0.75 + Math.random() / 2));
    const isOver = attempt >= handlingOf(failure).tries || now + pause > deadline;
    if (isOver || this.#breaker.isOpen(access)) {
      throw later;
    }
    await this.#clock.sleep(pause);
  }
}
