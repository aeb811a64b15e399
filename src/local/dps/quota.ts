import { maxPolls, maxRememberedOperations, pollWindowMs, rateWindowMs } from './limits.ts';

export interface QuotaSettings {
  /** Calls of the service API. Undefined is off. */
  readonly operationsPerMinute?: number | undefined;
  /** Registrations of devices; when set, status lookups are limited too. */
  readonly registrationsPerMinute?: number | undefined;
  /** Registry operations of each linked hub; a bulk request counts every device. */
  readonly hubOperationsPerMinute?: number | undefined;
}

/** A rate that no window of time exceeds, however it is placed: the times of the last accepted calls are kept. */
class SlidingWindow {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #accepted: number[] = [];
  #next = 0;

  constructor(limit: number, windowMs: number) {
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  /** @returns undefined if the call is accepted, else the milliseconds until there is room. */
  take(nowMs: number): number | undefined {
    if (this.#limit === 0) {
      return this.#windowMs;
    }
    const oldest = this.#accepted[this.#next];
    const age = oldest === undefined ? Number.POSITIVE_INFINITY : nowMs - oldest;
    // A negative age means that the clock was turned back.
    if (age >= 0 && age <= this.#windowMs) {
      return this.#windowMs - age + 1;
    }
    this.#accepted[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#limit;
    return undefined;
  }
}

/** The quotas of the service; off until they are set. */
export class Quota {
  readonly #initial: QuotaSettings;
  readonly #now: () => number;
  #operations: SlidingWindow | undefined;
  #registrations: SlidingWindow | undefined;
  readonly #polls = new Map<string, SlidingWindow>();
  #hubOperationsPerMinute: number | undefined;
  readonly #hubs = new Map<string, SlidingWindow>();

  constructor(initial: QuotaSettings, now: () => number) {
    this.#initial = initial;
    this.#now = now;
    this.set(initial);
  }

  set(settings: QuotaSettings): void {
    this.#operations = window(settings.operationsPerMinute);
    this.#registrations = window(settings.registrationsPerMinute);
    this.#polls.clear();
    this.#hubOperationsPerMinute = settings.hubOperationsPerMinute;
    this.#hubs.clear();
  }

  reset(): void {
    this.set(this.#initial);
  }

  /** Each returns the whole seconds to wait if the call is over quota. */
  takeOperation(): number | undefined {
    return seconds(this.#operations?.take(this.#now()));
  }

  takeRegistration(): number | undefined {
    return seconds(this.#registrations?.take(this.#now()));
  }

  /** Whether a hub takes so many registry operations more. */
  takeHubOperations(hub: string, count: number): boolean {
    const limit = this.#hubOperationsPerMinute;
    if (limit === undefined) {
      return true;
    }
    const operations = this.#hubs.get(hub) ?? new SlidingWindow(limit, rateWindowMs);
    this.#hubs.set(hub, operations);
    for (let taken = 0; taken < count; taken++) {
      if (operations.take(this.#now()) !== undefined) {
        return false;
      }
    }
    return true;
  }

  takePoll(registrationKey: string): number | undefined {
    if (this.#registrations === undefined) {
      return undefined;
    }
    const polls = this.#polls.get(registrationKey) ?? new SlidingWindow(maxPolls, pollWindowMs);
    if (this.#polls.size >= maxRememberedOperations) {
      this.#polls.clear();
    }
    this.#polls.set(registrationKey, polls);
    return seconds(polls.take(this.#now()));
  }
}

function window(limit: number | undefined): SlidingWindow | undefined {
  return limit === undefined ? undefined : new SlidingWindow(limit, rateWindowMs);
}

function seconds(waitMs: number | undefined): number | undefined {
  return waitMs === undefined ? undefined : Math.max(1, Math.ceil(waitMs / 1000));
}
