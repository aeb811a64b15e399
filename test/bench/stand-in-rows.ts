/** The rows of a table in memory, in the order of their keys, and the filters that the app asks with. */

export interface StoredRow {
  readonly partition: string;
  readonly row: string;
  readonly etag: string;
  /** Its other properties: the inside of a JSON object. */
  readonly text: string;
}

export interface Scan {
  readonly filter: Filter;
  readonly limit: number;
  /** Where a page before has ended. */
  readonly partition: string | undefined;
  readonly row: string | undefined;
}

export interface Filter {
  readonly partitions: Range;
  readonly rows: Range;
  /** Of the other properties too; undefined: the ranges say all. */
  readonly fits: ((values: Readonly<Record<string, unknown>>) => boolean) | undefined;
}

/** Inclusive, but where it is said otherwise. */
interface Range {
  from: string;
  fromExcluded: boolean;
  until: string | undefined;
  untilExcluded: boolean;
}

let versions = 0;

class SortedKeys {
  readonly keys: string[] = [];

  add(key: string): void {
    const last = this.keys.at(-1);
    if (last === undefined || last < key) {
      this.keys.push(key);
    } else {
      this.keys.splice(this.place(key), 0, key);
    }
  }

  delete(key: string): void {
    this.keys.splice(this.place(key), 1);
  }

  /** Of the first that is not before `key`. */
  place(key: string): number {
    let [low, high] = [0, this.keys.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.keys[middle] ?? '') < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

interface Partition {
  readonly rows: Map<string, StoredRow>;
  readonly sorted: SortedKeys;
}

export class StandInTable {
  readonly #partitions = new Map<string, Partition>();
  readonly #sorted = new SortedKeys();

  get(partition: string, row: string): StoredRow | undefined {
    return this.#partitions.get(partition)?.rows.get(row);
  }

  put(partition: string, row: string, text: string, etag = `W/"${++versions}"`): string {
    let held = this.#partitions.get(partition);
    if (!held) {
      held = { rows: new Map(), sorted: new SortedKeys() };
      this.#partitions.set(partition, held);
      this.#sorted.add(partition);
    }
    if (!held.rows.has(row)) {
      held.sorted.add(row);
    }
    held.rows.set(row, { partition, row, etag, text });
    return etag;
  }

  delete(partition: string, row: string): void {
    const held = this.#partitions.get(partition);
    if (!held?.rows.delete(row)) {
      return;
    }
    held.sorted.delete(row);
    if (held.rows.size === 0) {
      this.#partitions.delete(partition);
      this.#sorted.delete(partition);
    }
  }

  page({ filter, limit, partition, row }: Scan): {
    readonly rows: StoredRow[];
    readonly next?: { readonly partition: string; readonly row: string };
  } {
    const rows: StoredRow[] = [];
    const { partitions, rows: range, fits } = filter;
    const from = partition !== undefined && partition > partitions.from ? partition : partitions.from;
    for (let at = this.#sorted.place(from); at < this.#sorted.keys.length; at++) {
      const key = this.#sorted.keys[at] ?? '';
      if (!isWithin(partitions, key)) {
        if (partitions.until !== undefined && key > partitions.until) {
          break;
        }
        continue;
      }
      const held = this.#partitions.get(key);
      const start = key === partition && row !== undefined && row > range.from ? row : range.from;
      for (let place = held?.sorted.place(start) ?? 0; held && place < held.sorted.keys.length; place++) {
        const rowKey = held.sorted.keys[place] ?? '';
        if (range.until !== undefined && rowKey > range.until) {
          break;
        }
        const found = held.rows.get(rowKey);
        if (!found || !isWithin(range, rowKey) || (fits && !fits(valuesOf(found)))) {
          continue;
        }
        if (rows.length === limit) {
          return { rows, next: { partition: key, row: rowKey } };
        }
        rows.push(found);
      }
    }
    return { rows };
  }
}

function isWithin({ from, fromExcluded, until, untilExcluded }: Range, key: string): boolean {
  const isAfter = fromExcluded ? key > from : key >= from;
  return isAfter && (until === undefined || (untilExcluded ? key < until : key <= until));
}

function valuesOf({ partition, row, text }: StoredRow): Record<string, unknown> {
  return { ...JSON.parse(`{${text}}`), PartitionKey: partition, RowKey: row };
}

type Test = (values: Readonly<Record<string, unknown>>) => boolean;

/** Comparisons of properties with texts, joined by `and` and `or`: all that the app writes. */
export function readFilter(text: string): Filter {
  const partitions: Range = { from: '', fromExcluded: false, until: undefined, untilExcluded: false };
  const rows: Range = { from: '', fromExcluded: false, until: undefined, untilExcluded: false };
  const tokens = text.match(/'(?:[^']|'')*'|[()]|[^\s()]+/g) ?? [];
  const others: Test[] = [];
  for (const part of splitAt(tokens, 'and')) {
    const [name, comparison = '', value = ''] = part;
    const range = name === 'PartitionKey' ? partitions : name === 'RowKey' ? rows : undefined;
    if (!(range && part.length === 3 && narrow(range, comparison, unquoted(value)))) {
      others.push(testOf(part));
    }
  }
  const fits =
    others.length === 0 ? undefined : (values: Parameters<Test>[0]) => others.every((test) => test(values));
  return { partitions, rows, fits };
}

function narrow(range: Range, comparison: string, value: string): boolean {
  if (comparison === 'eq' || comparison === 'ge' || comparison === 'gt') {
    range.from = value;
    range.fromExcluded = comparison === 'gt';
  }
  if (comparison === 'eq' || comparison === 'le' || comparison === 'lt') {
    range.until = value;
    range.untilExcluded = comparison === 'lt';
  }
  return comparison !== 'ne';
}

function testOf(tokens: readonly string[]): Test {
  const either = splitAt(tokens, 'or');
  if (either.length > 1) {
    const tests = either.map(testOf);
    return (values) => tests.some((test) => test(values));
  }
  const all = splitAt(tokens, 'and');
  if (all.length > 1) {
    const tests = all.map(testOf);
    return (values) => tests.every((test) => test(values));
  }
  if (tokens[0] === '(') {
    return testOf(tokens.slice(1, -1));
  }
  const [name = '', comparison, text = ''] = tokens;
  const value = unquoted(text);
  return (values) => {
    const actual = values[name];
    if (actual === undefined) {
      return false;
    }
    const given = String(actual);
    switch (comparison) {
      case 'eq':
        return given === value;
      case 'ne':
        return given !== value;
      case 'gt':
        return given > value;
      case 'ge':
        return given >= value;
      case 'lt':
        return given < value;
      default:
        return given <= value;
    }
  };
}

/** At the joints that are in no parentheses. */
function splitAt(tokens: readonly string[], joint: string): string[][] {
  const parts: string[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    depth += token === '(' ? 1 : token === ')' ? -1 : 0;
    if (depth === 0 && token === joint) {
      parts.push([]);
    } else {
      parts.at(-1)?.push(token);
    }
  }
  return parts;
}

function unquoted(text: string): string {
  return text.startsWith("'") ? text.slice(1, -1).replaceAll("''", "'") : text;
}
