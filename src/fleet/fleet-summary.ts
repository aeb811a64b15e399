import { addedUp } from '../tools/added-up.ts';
import type { BatchCounts, FleetEntry, Labels } from './fleet-entry.ts';

/** In which of these a device is; each living one is in one. */
export const conditions = [
  'assigned',
  'assigning',
  'waiting',
  'overdue',
  'failed',
  'disabled',
  'held',
  'unassigned',
] as const;
export type Condition = (typeof conditions)[number];

/** Devices, by condition and by finding. What is zero is left out. */
export interface Tally {
  readonly devices: number;
  readonly conditions: Readonly<Partial<Record<Condition, number>>>;
  readonly findings: Readonly<Record<string, number>>;
}

export type Tallies = Readonly<Record<string, Tally>>;

/** What a run counted of all devices that were manufactured, without those that were scrapped. */
export interface FleetSummary {
  readonly all: Tally;
  readonly scrapped: number;
  readonly products: Tallies;
  readonly batches: Tallies;
  readonly groups: Tallies;
  readonly hubs: Tallies;
  /** By name, then by value: labels that tell devices apart by kind, not one by one. */
  readonly labels: Readonly<Record<string, Tallies>>;
  /** Days from manufacture to the first registration: how many devices, by the bins of `firstUseBins`. */
  readonly firstUse: readonly number[];
  /** The same, of those that registered first within the 30 days before the run. */
  readonly recentFirstUse: readonly number[];
  /** Names that had no room: lists and filters know them all the same. */
  readonly unlisted: Readonly<Record<string, number>>;
  /** Once the run has finished: the newest findings of each code. */
  readonly examples?: Readonly<
    Record<string, readonly { readonly subject: string; readonly since: string }[]>
  >;
}

/** Upper ends, in days; the last bin is all that is later. */
export const firstUseBins = [1, 3, 7, 14, 30, 60, 90, 180] as const;

/** So many names of a kind have counts: a run's summary is one row. */
const mostNames = { products: 200, batches: 1_000, groups: 250, hubs: 60 } as const;
const mostLabelNames = 16;
/** A label with more values is a serial number or the like, and no kind. */
const mostLabelValues = 40;

const emptyTally: Tally = { devices: 0, conditions: {}, findings: {} };
const noFirstUse = Array.from({ length: firstUseBins.length + 1 }, () => 0);

export const emptySummary: FleetSummary = {
  all: emptyTally,
  scrapped: 0,
  products: {},
  batches: {},
  groups: {},
  hubs: {},
  labels: {},
  firstUse: noFirstUse,
  recentFirstUse: noFirstUse,
  unlisted: {},
};

const dayInMs = 86_400_000;

export function conditionOf({ ledger, audit }: FleetEntry): Condition {
  if (ledger.held) {
    return 'held';
  }
  if (audit?.waiting) {
    return 'waiting';
  }
  if (audit?.findings.some(({ code }) => code === 'never-registered')) {
    return 'overdue';
  }
  return audit?.state ?? 'unassigned';
}

/** The summary with a page of devices more; the old one stays as it was. */
export function summed(summary: FleetSummary, entries: readonly FleetEntry[], now: Date): FleetSummary {
  const sum = new Sum(summary, now);
  for (const entry of entries) {
    sum.add(entry);
  }
  return sum.result();
}

/** What two parts of the ledger were counted to, in one. */
export function combinedSummaries(left: FleetSummary, right: FleetSummary): FleetSummary {
  if (right === emptySummary || left === emptySummary) {
    return right === emptySummary ? left : right;
  }
  const { products, batches, groups, hubs } = mostNames;
  const unlisted = { ...left.unlisted };
  for (const [kind, count] of Object.entries(right.unlisted)) {
    unlisted[kind] = (unlisted[kind] ?? 0) + count;
  }
  const both = (kind: keyof typeof mostNames, most: number) =>
    combinedTallies(left[kind], right[kind], most, () => {
      unlisted[kind] = (unlisted[kind] ?? 0) + 1;
    });
  return {
    all: addedTally(left.all, right.all),
    scrapped: left.scrapped + right.scrapped,
    products: both('products', products),
    batches: both('batches', batches),
    groups: both('groups', groups),
    hubs: both('hubs', hubs),
    labels: combinedLabels(left.labels, right.labels, unlisted),
    firstUse: left.firstUse.map((count, bin) => count + (right.firstUse[bin] ?? 0)),
    recentFirstUse: left.recentFirstUse.map((count, bin) => count + (right.recentFirstUse[bin] ?? 0)),
    unlisted,
  };
}

function combinedLabels(
  left: FleetSummary['labels'],
  right: FleetSummary['labels'],
  unlisted: Record<string, number>,
): FleetSummary['labels'] {
  const labels: Record<string, Tallies> = {};
  for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (Object.keys(labels).length >= mostLabelNames) {
      break;
    }
    const kind = `label ${name}`;
    const values = combinedTallies(left[name] ?? {}, right[name] ?? {}, mostLabelValues, () => {
      unlisted[kind] = (unlisted[kind] ?? 0) + 1;
    });
    put(labels, name, unlisted[kind] === undefined ? values : {});
  }
  return labels;
}

function combinedTallies(left: Tallies, right: Tallies, most: number, noRoom: () => void): Tallies {
  const sum: Record<string, Tally> = { ...left };
  let names = Object.keys(sum).length;
  for (const [name, tally] of Object.entries(right)) {
    const before = Object.hasOwn(sum, name) ? sum[name] : undefined;
    if (before === undefined && names >= most) {
      noRoom();
      continue;
    }
    names += before === undefined ? 1 : 0;
    put(sum, name, before ? addedTally(before, tally) : tally);
  }
  return sum;
}

function addedTally(left: Tally, right: Tally): Tally {
  return {
    devices: left.devices + right.devices,
    conditions: addedUp(left.conditions, right.conditions),
    findings: addedUp(left.findings, right.findings),
  };
}

/** Batches write their ids in any case; undefined: the summary had no room for it, or has met none of its devices. */
export function batchCounts({ batches }: FleetSummary, id: string): BatchCounts | undefined {
  const [, tally] = Object.entries(batches).find(([name]) => name.toLowerCase() === id) ?? [];
  if (!tally) {
    return undefined;
  }
  const { devices, conditions: by, findings } = tally;
  return {
    devices,
    assigned: by.assigned ?? 0,
    waiting: by.waiting ?? 0,
    failed: by.failed ?? 0,
    held: by.held ?? 0,
    findings: Object.values(findings).reduce((sum, count) => sum + count, 0),
  };
}

class Sum {
  readonly #next: Mutable<FleetSummary>;
  readonly #now: number;

  constructor(summary: FleetSummary, now: Date) {
    this.#next = structuredClone(summary) as Mutable<FleetSummary>;
    this.#now = now.getTime();
  }

  add(entry: FleetEntry): void {
    const next = this.#next;
    const { ledger, audit } = entry;
    if (ledger.life === 'scrapped') {
      next.scrapped++;
    }
    if (ledger.life !== 'manufactured') {
      return;
    }
    const condition = conditionOf(entry);
    const codes = [...new Set(audit?.findings.map(({ code }) => code))];
    const count = (tally: Mutable<Tally>) => {
      tally.devices++;
      tally.conditions[condition] = (tally.conditions[condition] ?? 0) + 1;
      for (const code of codes) {
        tally.findings[code] = (tally.findings[code] ?? 0) + 1;
      }
    };
    count(next.all);
    const named = { products: ledger.product, batches: ledger.batch, groups: ledger.group, hubs: audit?.hub };
    for (const [kind, name] of Object.entries(named) as [keyof typeof mostNames, string | undefined][]) {
      const tally = name === undefined ? undefined : this.#tally(next[kind], name, mostNames[kind], kind);
      if (tally) {
        count(tally);
      }
    }
    this.#addLabels(ledger.labels, count);
    this.#addFirstUse(entry);
  }

  result(): FleetSummary {
    return this.#next;
  }

  #addLabels(labels: Labels, count: (tally: Mutable<Tally>) => void): void {
    const known = this.#next.labels;
    for (const [name, value] of Object.entries(labels)) {
      if (!Object.hasOwn(known, name)) {
        if (Object.keys(known).length >= mostLabelNames) {
          continue;
        }
        put(known, name, {});
      }
      const values = known[name];
      const kind = `label ${name}`;
      if (!values || this.#next.unlisted[kind] !== undefined) {
        continue;
      }
      const tally = this.#tally(values, value, mostLabelValues, kind);
      if (tally) {
        count(tally);
      } else {
        put(known, name, {});
      }
    }
  }

  #addFirstUse({ ledger, audit }: FleetEntry): void {
    const made = Date.parse(ledger.definedAt ?? '');
    const first = Date.parse(audit?.firstRegisteredAt ?? '');
    if (Number.isNaN(made) || Number.isNaN(first)) {
      return;
    }
    const days = (first - made) / dayInMs;
    const found = firstUseBins.findIndex((end) => days < end);
    const bin = found < 0 ? firstUseBins.length : found;
    const { firstUse, recentFirstUse } = this.#next;
    firstUse[bin] = (firstUse[bin] ?? 0) + 1;
    if (this.#now - first < 30 * dayInMs) {
      recentFirstUse[bin] = (recentFirstUse[bin] ?? 0) + 1;
    }
  }

  #tally(tallies: Mutable<Tallies>, name: string, most: number, kind: string): Mutable<Tally> | undefined {
    if (!Object.hasOwn(tallies, name)) {
      if (Object.keys(tallies).length >= most) {
        this.#next.unlisted[kind] = (this.#next.unlisted[kind] ?? 0) + 1;
        return undefined;
      }
      put(tallies, name, structuredClone(emptyTally) as Mutable<Tally>);
    }
    return tallies[name];
  }
}

/** Names come from outside: `__proto__` is one like any other. */
function put<T>(object: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

type Mutable<T> = T extends readonly (infer Item)[]
  ? Item[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T;
