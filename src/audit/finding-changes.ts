import { compareText } from '../events/compare-text.ts';
import type { FleetSummary } from '../fleet/fleet-summary.ts';
import type { Row } from '../storage/tables.ts';
import type { AuditRun, Changes, CodeChanges, FindingCounts } from './audit-run.ts';
import { type ReportedFinding, severities } from './finding.ts';
import { type FindingTallies, isSummedUp } from './finding-tally.ts';

/** A finding as its row has it, over all runs. */
export interface StoredFinding extends ReportedFinding {
  readonly resolvedAt?: string;
  /** It had been resolved at this time, and was known since the other before that. */
  readonly cameBackFrom?: string;
  readonly earlierFirstSeen?: string;
}

export type Change = 'new' | 'cameBack' | 'resolved' | 'stillOpen';

export function storedFinding({ values }: Row): StoredFinding {
  const { severity, code, subject, detail, firstSeen, lastSeen } = values;
  const text = (name: string) => (values[name] === undefined ? {} : { [name]: String(values[name]) });
  return {
    ...({ severity, code, subject, detail, firstSeen, lastSeen } as unknown as ReportedFinding),
    ...text('resolvedAt'),
    ...text('cameBackFrom'),
    ...text('earlierFirstSeen'),
  };
}

export function isOpenAt(finding: StoredFinding, time: string): boolean {
  const { firstSeen, resolvedAt, earlierFirstSeen, cameBackFrom } = finding;
  if (firstSeen <= time) {
    return resolvedAt === undefined || resolvedAt > time;
  }
  return earlierFirstSeen !== undefined && earlierFirstSeen <= time && (cameBackFrom ?? '') > time;
}

/** What became of a finding between two times; undefined: it was open at neither. */
export function changeOf(finding: StoredFinding, from: string, until: string): Change | undefined {
  const before = isOpenAt(finding, from);
  const now = isOpenAt(finding, until);
  if (before) {
    return now ? 'stillOpen' : 'resolved';
  }
  if (!now) {
    return undefined;
  }
  return finding.cameBackFrom === undefined ? 'new' : 'cameBack';
}

/**
 * Counts findings one by one: none of them is kept. Of a code that either run has summed up, only the difference of the
 * counts is known: it stands for what is new, or was resolved.
 */
export class ChangeCounter {
  readonly #from: string;
  readonly #until: string;
  readonly #byCode = new Map<string, CodeChanges>();
  readonly #total = { new: 0, cameBack: 0, resolved: 0, stillOpen: 0 };
  readonly #summedUp = new Set<string>();

  constructor(
    from: string,
    until: string,
    { before, now }: { readonly before: FindingCounts | undefined; readonly now: FindingCounts | undefined },
  ) {
    this.#from = from;
    this.#until = until;
    for (const code of Object.keys({ ...before?.summedUp, ...now?.summedUp })) {
      this.#summedUp.add(code);
      this.#addDifference(code, before?.byCode[code] ?? 0, now?.byCode[code] ?? 0);
    }
  }

  /** What became of it; undefined: it was open at neither time, or is one of many that are summed up. */
  add(finding: StoredFinding): Change | undefined {
    const change = changeOf(finding, this.#from, this.#until);
    if (change === undefined || this.#summedUp.has(finding.code)) {
      return undefined;
    }
    const came = change === 'cameBack';
    const isNew = change === 'new' || came;
    const { code } = finding;
    const counts = this.#byCode.get(code) ?? { before: 0, now: 0, new: 0, cameBack: 0, resolved: 0 };
    this.#byCode.set(code, {
      before: counts.before + (isNew ? 0 : 1),
      now: counts.now + (change === 'resolved' ? 0 : 1),
      new: counts.new + (isNew ? 1 : 0),
      cameBack: counts.cameBack + (came ? 1 : 0),
      resolved: counts.resolved + (change === 'resolved' ? 1 : 0),
    });
    this.#total[isNew ? 'new' : change]++;
    if (came) {
      this.#total.cameBack++;
    }
    return change;
  }

  #addDifference(code: string, before: number, now: number): void {
    const appeared = Math.max(0, now - before);
    const resolved = Math.max(0, before - now);
    this.#byCode.set(code, { before, now, new: appeared, cameBack: 0, resolved });
    this.#total.new += appeared;
    this.#total.resolved += resolved;
    this.#total.stillOpen += Math.min(before, now);
  }

  result(since: Changes['since']): Changes {
    return { since, ...this.#total, byCode: Object.fromEntries(this.#byCode) };
  }
}

const examplesKept = 5;

/** Counts what is open, and keeps a few examples. */
export class OpenCounter {
  readonly #counts = { open: 0, critical: 0, warning: 0, info: 0 };
  readonly #byCode = new Map<string, number>();
  readonly #examples = new Map<string, { subject: string; since: string }[]>();
  readonly #tallies: FindingTallies;

  constructor(tallies: FindingTallies) {
    this.#tallies = tallies;
  }

  add({ severity, code, subject, firstSeen }: ReportedFinding): void {
    this.#addExample(code, subject, firstSeen);
    if (isSummedUp(this.#tallies, code)) {
      return;
    }
    this.#counts.open++;
    if (severities.includes(severity)) {
      this.#counts[severity]++;
    }
    this.#byCode.set(code, (this.#byCode.get(code) ?? 0) + 1);
  }

  #addExample(code: string, subject: string, firstSeen: string): void {
    const newest = [...(this.#examples.get(code) ?? []), { subject, since: firstSeen }];
    newest.sort(
      (left, right) => compareText(right.since, left.since) || compareText(left.subject, right.subject),
    );
    this.#examples.set(code, newest.slice(0, examplesKept));
  }

  /** The newest of each code. */
  examples(): NonNullable<FleetSummary['examples']> {
    return Object.fromEntries(this.#examples);
  }

  result(): FindingCounts {
    return { ...this.#counts, byCode: Object.fromEntries(this.#byCode) };
  }
}

const weekInMs = 7 * 86_400_000;

/** The finished run that is nearest to a week before `run`. */
export function weekBefore<T extends { readonly id: string; readonly finishedAt?: string | undefined }>(
  run: Pick<AuditRun, 'id' | 'startedAt'>,
  finished: readonly T[],
): T | undefined {
  const target = Date.parse(run.startedAt) - weekInMs;
  const distance = ({ finishedAt = '' }: T) => Math.abs(Date.parse(finishedAt) - target);
  const earlier = finished.filter(({ finishedAt = '~' }) => finishedAt < run.startedAt);
  return earlier.reduce<T | undefined>(
    (best, each) => (best === undefined || distance(each) < distance(best) ? each : best),
    undefined,
  );
}
