interface Numbered {
  readonly sequenceNumber: number;
}

/** Messages in the order of their sequence numbers, for lookups and for peeking from any point. */
export class Sequence<Item extends Numbered> {
  readonly #byNumber = new Map<number, Item>();
  /** Ascending. What was removed stays as a gap until gaps are the majority. */
  #ordered: Item[] = [];

  get size(): number {
    return this.#byNumber.size;
  }

  get(sequenceNumber: number): Item | undefined {
    return this.#byNumber.get(sequenceNumber);
  }

  add(item: Item): void {
    this.#byNumber.set(item.sequenceNumber, item);
    const last = this.#ordered.at(-1);
    if (last === undefined || last.sequenceNumber < item.sequenceNumber) {
      this.#ordered.push(item);
    } else {
      this.#ordered.splice(this.#positionOf(item.sequenceNumber), 0, item); // dead letters keep their number
    }
  }

  delete(sequenceNumber: number): void {
    this.#byNumber.delete(sequenceNumber);
    if (this.#ordered.length <= 2 * this.#byNumber.size + 64) {
      return;
    }
    this.#ordered = this.#ordered.filter((item) => this.#byNumber.get(item.sequenceNumber) === item);
  }

  /** Up to `count` items, from the given number on. */
  from(sequenceNumber: number, count: number): Item[] {
    const found: Item[] = [];
    for (let i = this.#positionOf(sequenceNumber); i < this.#ordered.length && found.length < count; i++) {
      const item = this.#ordered[i];
      if (item !== undefined && this.#byNumber.get(item.sequenceNumber) === item) {
        found.push(item);
      }
    }
    return found;
  }

  #positionOf(sequenceNumber: number): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ordered[middle]?.sequenceNumber ?? 0) < sequenceNumber) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
