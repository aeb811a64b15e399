interface Sequenced {
  /** The key: an id in lower case, as ids are compared without regard to case. */
  readonly key: string;
  /** Given once, rising; an item keeps it over updates, so a page can go on behind it whatever came or went. */
  readonly sequence: number;
}

export interface Page<Item> {
  readonly items: Item[];
  /** The sequence to go on behind; undefined on the last page. */
  readonly continueAfter: number | undefined;
}

const compactFrom = 1_000;

/**
 * Items by key, and in order of first insertion for paging. Reading, replacing and deleting cost a map access and a binary
 * search, whatever the size. A deleted item leaves its sequence number behind until enough of them are swept at once.
 */
export class OrderedCollection<Item extends Sequenced> {
  readonly #byKey = new Map<string, Item>();
  #slots: (Item | number)[] = [];

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Item | undefined {
    return this.#byKey.get(key);
  }

  /** Adds an item, whose sequence must be above all before it, or replaces the one of the same key and sequence. */
  put(item: Item): void {
    if (this.#byKey.has(item.key)) {
      this.#slots[this.#slotAtOrAfter(item.sequence)] = item;
    } else {
      this.#slots.push(item);
    }
    this.#byKey.set(item.key, item);
  }

  delete(key: string): void {
    const item = this.#byKey.get(key);
    if (item === undefined) {
      return;
    }
    this.#byKey.delete(key);
    this.#slots[this.#slotAtOrAfter(item.sequence)] = item.sequence;
    const removed = this.#slots.length - this.#byKey.size;
    if (removed > compactFrom && removed > this.#byKey.size) {
      this.#slots = this.#slots.filter(isItem);
    }
  }

  page(after: number, limit: number): Page<Item> {
    const items: Item[] = [];
    for (let slot = this.#slotAtOrAfter(after + 1); slot < this.#slots.length; slot += 1) {
      const item = this.#slots[slot];
      if (!isItem<Item>(item)) {
        continue;
      }
      if (items.length === limit) {
        return { items, continueAfter: items.at(-1)?.sequence };
      }
      items.push(item);
    }
    return { items, continueAfter: undefined };
  }

  newest(count: number): Item[] {
    const items: Item[] = [];
    for (let slot = this.#slots.length - 1; slot >= 0 && items.length < count; slot -= 1) {
      const item = this.#slots[slot];
      if (isItem<Item>(item)) {
        items.push(item);
      }
    }
    return items;
  }

  values(): IterableIterator<Item> {
    return this.#byKey.values();
  }

  clear(): void {
    this.#byKey.clear();
    this.#slots = [];
  }

  #slotAtOrAfter(sequence: number): number {
    let low = 0;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sequenceOf(this.#slots[middle]) < sequence) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

function isItem<Item extends Sequenced>(slot: Item | number | undefined): slot is Item {
  return typeof slot === 'object';
}

function sequenceOf(slot: Sequenced | number | undefined): number {
  if (slot === undefined) {
    return Number.POSITIVE_INFINITY;
  }
  return typeof slot === 'number' ? slot : slot.sequence;
}
