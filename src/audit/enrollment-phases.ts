import type { Row } from '../storage/tables.ts';
import { chunksOf } from '../tools/in-parallel.ts';
import { countedStates, scannedOnly } from './audit-counts.ts';
import type { Checkpoint, Unit } from './audit-plan.ts';
import type { AuditStep } from './audit-step.ts';
import { certificateFindings, storedId } from './certificate-findings.ts';
import { certificatesOf } from './certificate-register.ts';
import { listingRestarted, readPages } from './listing.ts';
import { individuals, snapshotOf } from './registration-snapshot.ts';
import { checksFor, isCheckedSince } from './state-checks.ts';
import { evaluateEnrollment } from './stored-enrollments.ts';

/** So long after its start a run asks for registration states: what it does not get to, the next one asks for first. */
const statesWithinMs = 20 * 3_600_000;
/** At the whole quota of an instance half a minute's: a checkpoint comes after that. */
const mostChecksPerStep = 500;
/** They are written after so many: what stops before that is asked for again. */
const checksPerWrite = 100;
const longestDetail = 2_000;

export async function scanEnrollments(
  step: AuditStep,
  { chunk, continuation }: { readonly chunk: number; readonly continuation?: string },
): Promise<Unit> {
  const { parts, run } = step;
  const listed = await readPages(step, continuation, (settings) =>
    parts.dps.individualEnrollments.query().byPage(settings).next(),
  );
  if (listed === 'expired') {
    return listingRestarted(step, { phase: 'enrollments', chunk: 0 });
  }
  const enrollments = listed.items;
  await step.inParallel(enrollments, async (enrollment) => {
    step.note(...certificateFindings(enrollment, step.now()));
    await evaluateEnrollment(step, enrollment);
  });
  const records = enrollments.map((enrollment) => ({
    id: storedId(enrollment),
    values: { ...certificatesOf(enrollment), ...findingsOf(step, storedId(enrollment)) },
  }));
  const chunks = await parts.listing.append(run.id, individuals, chunk, records);
  const counted = { scanned: scannedOnly({ individualEnrollments: enrollments.length }) };
  return listed.continuation === undefined
    ? step.to({ phase: 'comparison', of: individuals, chunks, part: 0 }, counted)
    : step.to({ phase: 'enrollments', chunk: chunks, continuation: listed.continuation }, counted);
}

function findingsOf(step: AuditStep, id: string): { readonly findings?: string } {
  const findings = step.found.get(id);
  const short = findings?.map((finding) => ({ ...finding, detail: finding.detail.slice(0, longestDetail) }));
  return short ? { findings: JSON.stringify(short) } : {};
}

/**
 * Registration states of individual enrollments come one an operation. A step asks for some hundreds of a page of rows; the
 * pages that are left share the time that is left, so that a run ends within a day.
 */
export async function checkStates(
  step: AuditStep,
  checkpoint: Extract<Checkpoint, { phase: 'states' }>,
): Promise<Unit> {
  const { run, parts } = step;
  if (run.scanned.individualEnrollments === 0) {
    return step.to({ phase: 'done' });
  }
  const { after, passed } = checkpoint;
  const { checksPerStep = mostChecksPerStep } = parts;
  const now = step.now();
  const { began = now.toISOString() } = checkpoint;
  const page = await parts.snapshot.individualsAfter(after ?? '');
  const rows = new Map(page.rows.map((row) => [row.rowKey, row]));
  const due = checksFor(page.rows.map(snapshotOf), run.startedAt);
  const left = Math.max(page.rows.length, run.scanned.individualEnrollments - passed);
  const hasTime = now.getTime() < timeShareEnd(run, page.rows.length / left, new Date(began));
  if (due.length > 0 && hasTime) {
    const asked = due.slice(0, checksPerStep).flatMap(({ id }) => rows.get(id) ?? []);
    for (const some of chunksOf(asked, checksPerWrite)) {
      for (const row of await askedFor(step, some)) {
        rows.set(row.rowKey, row);
      }
    }
    if (due.length > checksPerStep) {
      return step.to({ ...checkpoint, began });
    }
  }
  const last = page.rows.at(-1)?.rowKey;
  const next: Checkpoint =
    page.isLast || last === undefined
      ? { phase: 'done' }
      : { phase: 'states', after: last, passed: passed + page.rows.length };
  return step.to(next, statesOf([...rows.values()], run.startedAt));
}

async function askedFor(step: AuditStep, rows: readonly Row[]): Promise<readonly Row[]> {
  const states = new Map<string, Awaited<ReturnType<typeof step.registrationState>>>();
  let failure: { readonly error: unknown } | undefined;
  await step
    .inParallel(rows, async ({ rowKey }) => {
      states.set(rowKey, await step.registrationState(rowKey));
    })
    .catch((error: unknown) => {
      failure = { error };
    });
  // What has been asked for is kept, whatever became of the others.
  const checked = rows
    .filter(({ rowKey }) => states.has(rowKey))
    .map((row) => ({ row, state: states.get(row.rowKey) }));
  const written = await step.parts.snapshot.saveIndividualStates(checked, step.run.number, step.now());
  if (failure) {
    throw failure.error;
  }
  return written;
}

/** When a page of rows has used its part of the time that was left when it began. */
function timeShareEnd({ startedAt }: { readonly startedAt: string }, part: number, began: Date): number {
  const end = Date.parse(startedAt) + statesWithinMs;
  return began.getTime() + Math.max(0, end - began.getTime()) * part;
}

/** Counted once all is asked for that there is time for: a step that is repeated asks for nothing twice. */
function statesOf(rows: readonly Row[], startedAt: string) {
  const snapshots = rows.map(snapshotOf);
  const checked = snapshots.filter((row) => isCheckedSince(row, startedAt)).length;
  const oldest = snapshots.flatMap(({ checkedAt }) => checkedAt ?? []).sort()[0];
  return {
    scanned: scannedOnly({ individualStates: checked }),
    states: countedStates(snapshots.map(({ status }) => status)),
    ...(oldest === undefined ? {} : { oldestState: oldest }),
  };
}
