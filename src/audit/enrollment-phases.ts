import { type AuditRun, counted } from './audit-run.ts';
import type { AuditStep } from './audit-step.ts';
import { bucketCount, bucketsPerStep } from './buckets.ts';
import { quotaFindings } from './capacity-findings.ts';
import { certificateFindings } from './certificate-findings.ts';
import { dpsCapacity } from './dps-capacity.ts';
import { listingBegun, listingEnded, listingRestarted } from './listing.ts';
import type { Snapshot } from './registration-snapshot.ts';
import { checksFor } from './state-checks.ts';
import { judgeEnrollment } from './stored-enrollments.ts';

/** So many registration states of individual enrollments are asked for in a run, at one operation each. */
const mostStateChecks = 18_000;
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
    await judgeEnrollment(step, enrollment);
  });
  await parts.snapshot.saveEnrollments(run.id, page.items, step.found);
  const individualEnrollments = run.scanned.individualEnrollments + page.items.length;
  const next = { ...run, scanned: { ...run.scanned, individualEnrollments } };
  return page.continuation === undefined
    ? { ...listingEnded(next), checkpoint: { phase: 'states', bucket: 0 } }
    : { ...next, checkpoint: { phase: 'enrollments', continuation: page.continuation } };
}

/** Registration states of individual enrollments come one an operation, so a run asks for the most telling ones. */
export async function checkStates(step: AuditStep, from: number): Promise<AuditRun> {
  const { run, parts } = step;
  if (from >= bucketCount) {
    await step.note(...quotaFindings(run, parts.capacity ?? dpsCapacity));
    return { ...run, checkpoint: { phase: 'certificates', bucket: 0 } };
  }
  const left = mostStateChecks - run.scanned.individualStates;
  const budget = Math.ceil(left / (bucketCount - from));
  const atOnce = run.scanned.individualEnrollments > fewEnrollments ? 1 : bucketsPerStep;
  const buckets = await parts.snapshot.buckets(from, atOnce, run.id);
  let checked = 0;
  const statuses: (string | undefined)[] = [];
  await step.inParallel(buckets, async (bucket) => {
    const rows = await checkBucket(step, bucket, budget);
    checked += rows.checked;
    statuses.push(...rows.statuses);
  });
  return {
    ...run,
    scanned: { ...run.scanned, individualStates: run.scanned.individualStates + checked },
    states: counted(run.states, statuses),
    checkpoint: { phase: 'states', bucket: from + atOnce },
  };
}

async function checkBucket(step: AuditStep, rows: readonly Snapshot[], budget: number) {
  const { run, parts } = step;
  const due = checksFor(rows, budget);
  const statuses = new Map(rows.map((row) => [row.id, row.status]));
  for (const { id } of due) {
    const state = await step.registrationState(id);
    await parts.snapshot.saveIndividualState(id, run, state, step.now());
    statuses.set(id, state?.status ?? 'unassigned');
  }
  return { checked: due.length, statuses: [...statuses.values()] };
}
