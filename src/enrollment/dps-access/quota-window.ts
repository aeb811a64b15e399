/** Whose operations: the pipeline's; or the audit's, which has a share while one runs, and what the pipeline leaves. */
export type CallerClass = 'pipeline' | 'audit';

/**
 * What was spent of the DPS instance's operations in the last minute, by all instances of the app. DPS counts a
 * sliding minute, so what was spent comes back 60 seconds later and not before.
 */
export interface QuotaWindow {
  /** `[second since 1970, pipeline's operations, audit's operations]`, oldest first. */
  readonly slots: readonly (readonly [number, number, number])[];
  /** Operations that have become due at the even pace and were not taken, and when that was reckoned. */
  readonly credit: number;
  readonly creditAt: number;
  /** Until then an audit is running and has its share. */
  readonly auditUntil: number;
  /** Until then the pipeline wants more than it got, and the audit has no more than its share. */
  readonly pipelineWaitsUntil: number;
  /** DPS said 429, and when: nothing goes before. */
  readonly closedUntil: number;
  readonly closedAt: number;
}

export interface QuotaLimits {
  readonly operationsPerMinute: number;
  /** What a running audit has, however much the pipeline wants: 0 to 1. */
  readonly auditShare: number;
}

export interface Taken {
  readonly window: QuotaWindow;
  readonly granted: number;
  /** When to ask again, if nothing was granted. */
  readonly retryInMs: number;
}

export const emptyWindow: QuotaWindow = {
  slots: [],
  credit: 0,
  creditAt: 0,
  auditUntil: 0,
  pipelineWaitsUntil: 0,
  closedUntil: 0,
  closedAt: 0,
};

/** Covers the way from the grant to DPS's own count, and clocks that differ a little. */
const marginInMs = 300;
const minuteInMs = 60_000;
/** A quiet system answers at once up to this part of the quota; beyond it goes an even pace. */
const burstShare = 0.2;
/** How long one demand of the audit keeps its share reserved. */
const auditReservationInMs = 10_000;
/** How long one unmet demand of the pipeline keeps the audit to its share: until it asks again, and a little more. */
const pipelineWaitsForMs = 1_500;
/** Who gets nothing asks again within this time: what another leaves, or needs again, changes hands that fast. */
const longestRetryInMs = 1_000;
/** Of an idle pipeline's quota the audit leaves this part, so that the first event's calls go at once. */
const reserveShare = 0.02;
/** So much of the even pace may pile up while nobody asks. */
const creditInSeconds = 1;
const longestClosingInMs = 3_600_000;
/** What was written later than this from now was written before the clock was set back. */
const clocksDifferByInMs = 2_000;

/** Takes up to `want` operations at `now` (milliseconds since 1970). Pure, so instances can race for the row. */
export function take(
  window: QuotaWindow,
  now: number,
  want: number,
  callerClass: CallerClass,
  limits: QuotaLimits,
): Taken {
  const slots = window.slots.filter(([second]) => isCounted(second, now));
  const isClosed = window.closedUntil > now && !isFromTheFuture(window.closedAt, now);
  const closedUntil = isClosed ? window.closedUntil : 0;
  const auditUntil = callerClass === 'audit' ? now + auditReservationInMs : window.auditUntil;
  const auditRuns = now < auditUntil && !isFromTheFuture(auditUntil - auditReservationInMs, now);
  const ratePerMs = limits.operationsPerMinute / minuteInMs;
  const elapsed = Math.max(0, now - window.creditAt);
  const mostCredit = Math.max(1, ratePerMs * creditInSeconds * 1_000);
  const credit = Math.min(mostCredit, window.credit + elapsed * ratePerMs);
  const { pipelineWaitsUntil } = window;
  const settled = { ...window, slots, credit, creditAt: now, auditUntil, closedUntil };
  if (isClosed) {
    return { window: settled, granted: 0, retryInMs: closedUntil - now };
  }

  const pipelineWaits =
    now < pipelineWaitsUntil && !isFromTheFuture(pipelineWaitsUntil - pipelineWaitsForMs, now);
  const room =
    callerClass === 'audit'
      ? roomForAudit(slots, pipelineWaits, limits)
      : roomForPipeline(slots, auditRuns, limits);
  const burst = burstFor(callerClass, slots, limits);
  const granted = Math.max(0, Math.min(want, room, burst + Math.floor(credit)));
  const waits =
    callerClass === 'pipeline' && granted < want ? { pipelineWaitsUntil: now + pipelineWaitsForMs } : {};
  if (granted === 0) {
    const slotFrees = slots[0] ? freedAt(slots[0][0]) - now : minuteInMs;
    const few = Math.min(want, Math.max(1, ratePerMs * 250));
    const paced = Math.ceil((few - credit) / ratePerMs);
    const retryInMs = Math.min(longestRetryInMs, Math.max(10, room > 0 ? paced : slotFrees));
    return { window: { ...settled, ...waits }, granted, retryInMs };
  }
  return {
    window: {
      ...settled,
      ...waits,
      credit: Math.max(0, credit - Math.max(0, granted - burst)),
      slots: spend(slots, Math.floor(now / 1_000), granted, callerClass),
    },
    granted,
    retryInMs: 0,
  };
}

/** DPS throttled all the same: somebody else spends, too. */
export function close(window: QuotaWindow, now: number, retryAfterInMs: number): QuotaWindow {
  const until = now + Math.min(retryAfterInMs, longestClosingInMs);
  const before = isFromTheFuture(window.closedAt, now) ? 0 : window.closedUntil;
  return { ...window, credit: 0, creditAt: now, closedUntil: Math.max(before, until), closedAt: now };
}

/** What the pipeline leaves; while it waits, no more than the share. */
function roomForAudit(slots: QuotaWindow['slots'], pipelineWaits: boolean, limits: QuotaLimits): number {
  const left = limits.operationsPerMinute - used(slots);
  if (pipelineWaits) {
    return Math.min(left, auditsPart(limits) - auditUsed(slots));
  }
  const unusedShare = Math.min(left, auditsPart(limits) - auditUsed(slots));
  return Math.max(unusedShare, left - Math.floor(limits.operationsPerMinute * reserveShare));
}

/** All; while an audit runs, what is beyond its share. */
function roomForPipeline(slots: QuotaWindow['slots'], auditRuns: boolean, limits: QuotaLimits): number {
  const left = limits.operationsPerMinute - used(slots);
  if (!auditRuns) {
    return left;
  }
  const pipelineUsed = used(slots) - auditUsed(slots);
  return Math.min(left, limits.operationsPerMinute - auditsPart(limits) - pipelineUsed);
}

function burstFor(callerClass: CallerClass, slots: QuotaWindow['slots'], limits: QuotaLimits): number {
  const burst = Math.floor(limits.operationsPerMinute * burstShare) - used(slots);
  const most = callerClass === 'audit' ? auditsPart(limits) - auditUsed(slots) : burst;
  return Math.max(0, Math.min(burst, most));
}

function auditsPart({ operationsPerMinute, auditShare }: QuotaLimits): number {
  return Math.max(1, Math.floor(operationsPerMinute * auditShare));
}

function auditUsed(slots: QuotaWindow['slots']): number {
  return slots.reduce((sum, [, , audit]) => sum + audit, 0);
}

function used(slots: QuotaWindow['slots']): number {
  return slots.reduce((sum, [, pipeline, audit]) => sum + pipeline + audit, 0);
}

function freedAt(second: number): number {
  return (second + 1) * 1_000 + minuteInMs + marginInMs;
}

/** A slot from before the clock was set back would close the quota for as long. */
function isCounted(second: number, now: number): boolean {
  return freedAt(second) > now && !isFromTheFuture(second * 1_000, now);
}

function isFromTheFuture(at: number, now: number): boolean {
  return at >= now + clocksDifferByInMs;
}

function spend(
  slots: QuotaWindow['slots'],
  second: number,
  granted: number,
  callerClass: CallerClass,
): QuotaWindow['slots'] {
  const others = slots.filter(([each]) => each !== second);
  const [, pipeline, audit] = slots.find(([each]) => each === second) ?? [second, 0, 0];
  const slot = [
    second,
    pipeline + (callerClass === 'pipeline' ? granted : 0),
    audit + (callerClass === 'audit' ? granted : 0),
  ] as const;
  return [...others, slot].sort(([left], [right]) => left - right);
}
