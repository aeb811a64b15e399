import { type AuditRun, counted } from './audit-run.ts';
import type { AuditStep } from './audit-step.ts';
import { bucketCount, bucketsPerStep } from './buckets.ts';
import { quotaFindings } from './capacity-findings.ts';
import { certificateFindings } from './certificate-findings.ts';
import { dpsCapacity } from './dps-capacity.ts';
import { listingBegun, listingEnded, listingRestarted } from './listing.ts';
import type { Snapshot } from './registration-snapshot.ts';
import { checksFor, isCheckedSince } from './state-checks.ts';
import { evaluateEnrollment } from './stored-enrollments.ts';

/** So long after its start a run asks for registration states: what it does not get to, the next one asks for first. */
const statesWithinMs = 20 * 3_600_000;
/** At the whole quota of an instance half a minute's: a checkpoint comes after that. */
const mostChecksPerStep = 500;
/** Beyond so many enrollments a step reads one bucket: a page or two of rows are in memory at once. */
const fewEnrollments = 50_000;

export async function scanEnrollments(step: AuditStep, continuation: string | undefined): Promise<AuditRun> {
  const { parts } = step;
  const run = listingBegun(step.run);
  const page = await step.page(continuation, (settings) =>
    parts.dps.individualEnrollments.query().byPage(settings).next(),
  );
  if (page === 'expired') {
    return listingRestarted(run, { phase: 'enrollments' });
  }
  await parts.certificates.save(run.id, page.items);
  await step.inParallel(page.items, async (enrollment) => {
    await step.note(...certificateFindings(enrollment, step.now()));
    await evaluateEnrollment(step, enrollment);
  });
  await parts.snapshot.saveEnrollments(run.id, page.items, step.found);
  const individualEnrollments = run.scanned.individualEnrollments + page.items.length;
  const next = { ...run, scanned: { ...run.scanned, individualEnrollments } };
  return page.continuation === undefined
    ? { ...listingEnded(next), checkpoint: { phase: 'states', bucket: 0 } }
    : { ...next, checkpoint: { phase: 'enrollments', continuation: page.continuation } };
}

/**
 * Registration states of individual enrollments come one an operation. A step asks for some hundreds; the buckets that
 * are left share the time that is left, so that a run ends within a day.
 */
export async function checkStates(step: AuditStep, from: number): Promise<AuditRun> {
  const { run, parts } = step;
  if (from >= bucketCount) {
    await step.note(...quotaFindings(run, parts.capacity ?? dpsCapacity));
    return { ...run, checkpoint: { phase: 'certificates', bucket: 0 } };
  }
  const atOnce = run.scanned.individualEnrollments > fewEnrollments ? 1 : bucketsPerStep;
  const { checksPerStep = mostChecksPerStep } = parts;
  const now = step.now();
  const { began = now.toISOString() } = run.checkpoint.phase === 'states' ? run.checkpoint : {};
  const buckets = await parts.snapshot.buckets(from, atOnce, run.id);
  const rows = new Map(buckets.flat().map((row) => [row.id, row]));
  const due = checksFor([...rows.values()], run.startedAt);
  const hasTime = now.getTime() < timeShareEnd(run, from, atOnce, new Date(began));
  if (due.length > 0 && hasTime) {
    await step.inParallel(due.slice(0, checksPerStep), async ({ id }) => {
      const state = await step.registrationState(id);
      const snapshot = await parts.snapshot.saveIndividualState(id, run, state, step.now());
      rows.set(id, { ...(rows.get(id) as Snapshot), ...snapshot });
    });
    if (due.length > checksPerStep) {
      return { ...run, checkpoint: { phase: 'states', bucket: from, began } };
    }
  }
  return withStates({ ...run, checkpoint: { phase: 'states', bucket: from + atOnce } }, [...rows.values()]);
}

/** When a handful of buckets has used its part of the time that was left when it began. */
function timeShareEnd({ startedAt }: AuditRun, bucket: number, atOnce: number, began: Date): number {
  const end = Date.parse(startedAt) + statesWithinMs;
  const left = Math.max(0, end - began.getTime());
  return began.getTime() + (left * atOnce) / (bucketCount - bucket);
}

/** Counted once all is asked for that there is time for: a step that is repeated asks for nothing twice. */
function withStates(run: AuditRun, rows: readonly Snapshot[]): AuditRun {
  const checked = rows.filter((row) => isCheckedSince(row, run.startedAt)).length;
  const times = rows.flatMap(({ checkedAt }) => (checkedAt === undefined ? [] : [checkedAt]));
  const oldest = times.reduce<string | undefined>(
    (least, time) => (least === undefined || time < least ? time : least),
    run.oldestState,
  );
  return {
    ...run,
    scanned: { ...run.scanned, individualStates: run.scanned.individualStates + checked },
    states: counted(
      run.states,
      rows.map(({ status }) => status),
    ),
    ...(oldest === undefined ? {} : { oldestState: oldest }),
  };
}
