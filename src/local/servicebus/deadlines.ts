import { Heap } from './heap.ts';
import type { Deadline, StoredMessage } from './queue-types.ts';

const longestTimeoutInMs = 0x7fff_ffff;

/** At most one deadline for each message, and one timer for the earliest of them. */
export class Deadlines {
  readonly #heap = new Heap<Deadline>((a, b) => a.at < b.at);
  readonly #now: () => number;
  readonly #onTime: () => void;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(now: () => number, onTime: () => void) {
    this.#now = now;
    this.#onTime = onTime;
  }

  /** Replaces the message's deadline; `Infinity` is none. */
  set(stored: StoredMessage, at: number): void {
    if (stored.deadline !== undefined) {
      this.#heap.remove(stored.deadline);
    }
    stored.deadline = undefined;
    if (at === Number.POSITIVE_INFINITY) {
      return;
    }
    stored.deadline = this.#heap.push({ at, stored });
    this.arm();
  }

  /** A message whose time has come; whoever takes it gives it another deadline. */
  due(): StoredMessage | undefined {
    const earliest = this.#heap.top;
    return earliest !== undefined && earliest.at <= this.#now() ? earliest.stored : undefined;
  }

  arm(): void {
    const at = this.#heap.top?.at ?? Number.POSITIVE_INFINITY;
    if (at >= this.#timerAt) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const delay = Math.min(Math.max(at - this.#now(), 0), longestTimeoutInMs);
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#onTime();
    }, delay);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
