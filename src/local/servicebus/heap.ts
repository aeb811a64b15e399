/** What push returns: it allows taking a value out from the middle, so that no heap ever holds what is gone. */
export interface HeapEntry<Value> {
  readonly value: Value;
  position: number;
}

/** A binary heap whose values can be removed before their turn. All but `top` are O(log n). */
export class Heap<Value> {
  readonly #entries: HeapEntry<Value>[] = [];
  readonly #before: (a: Value, b: Value) => boolean;

  constructor(before: (a: Value, b: Value) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#entries.length;
  }

  get top(): Value | undefined {
    return this.#entries[0]?.value;
  }

  push(value: Value): HeapEntry<Value> {
    const entry = { value, position: this.#entries.length };
    this.#entries.push(entry);
    this.#rise(entry);
    return entry;
  }

  /** Takes an entry out; one that is out already stays so. */
  remove(entry: HeapEntry<Value>): void {
    const { position } = entry;
    if (this.#entries[position] !== entry) {
      return;
    }
    entry.position = -1;
    const last = this.#entries.pop();
    if (last === undefined || last === entry) {
      return;
    }
    this.#place(last, position);
    this.#rise(last);
    this.#sink(last);
  }

  #place(entry: HeapEntry<Value>, position: number): void {
    this.#entries[position] = entry;
    entry.position = position;
  }

  #rise(entry: HeapEntry<Value>): void {
    while (entry.position > 0) {
      const parent = this.#entries[(entry.position - 1) >> 1];
      if (parent === undefined || !this.#before(entry.value, parent.value)) {
        return;
      }
      this.#swap(entry, parent);
    }
  }

  #sink(entry: HeapEntry<Value>): void {
    for (;;) {
      const left = this.#entries[2 * entry.position + 1];
      const right = this.#entries[2 * entry.position + 2];
      if (left === undefined) {
        return;
      }
      const child = right !== undefined && this.#before(right.value, left.value) ? right : left;
      if (!this.#before(child.value, entry.value)) {
        return;
      }
      this.#swap(entry, child);
    }
  }

  #swap(a: HeapEntry<Value>, b: HeapEntry<Value>): void {
    const position = a.position;
    this.#place(a, b.position);
    this.#place(b, position);
  }
}
