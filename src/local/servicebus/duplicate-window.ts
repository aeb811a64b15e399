/**
 * The message ids of the last so many milliseconds. The oldest leave first, each once: a call costs O(1) on average.
 * (Deleting from the front of a Map would not do: V8 walks over the holes each time.)
 */
export class DuplicateWindow {
  readonly #lengthInMs: number;
  readonly #seen = new Set<string>();
  #arrivals: { readonly id: string; readonly at: number }[] = [];
  #oldest = 0;

  constructor(lengthInMs: number) {
    this.#lengthInMs = lengthInMs;
  }

  /** Remembers the id; false if the window holds it already. */
  admits(id: string, now: number): boolean {
    if (this.#lengthInMs === 0) {
      return true;
    }
    this.#forgetBefore(now - this.#lengthInMs);
    if (this.#seen.has(id)) {
      return false;
    }
    this.#seen.add(id);
    this.#arrivals.push({ id, at: now });
    return true;
  }

  #forgetBefore(time: number): void {
    for (;;) {
      const arrival = this.#arrivals[this.#oldest];
      if (arrival === undefined || arrival.at > time) {
        break;
      }
      this.#seen.delete(arrival.id);
      this.#oldest++;
    }
    if (this.#oldest * 2 <= this.#arrivals.length) {
      return;
    }
    this.#arrivals = this.#arrivals.slice(this.#oldest);
    this.#oldest = 0;
  }
}
