import type { Checkpoint, Unit } from './audit-plan.ts';
import type { AuditStep } from './audit-step.ts';
import { groupCertificates } from './certificate-register.ts';
import { boundsOf, type Comparison, listedIn, partOf, storeDifferences } from './record-comparison.ts';
import { individualRow, individuals, registrationRow } from './registration-snapshot.ts';

/** What was listed beside what the run before has stored, a part of it a step. */
export async function compareRecords(
  step: AuditStep,
  checkpoint: Extract<Checkpoint, { phase: 'comparison' }>,
): Promise<Unit> {
  const { listing, snapshot } = step.parts;
  const { of: partition, group, chunks, part } = checkpoint;
  const { scanned } = step.unit.counts;
  const records = Math.max(scanned.groupRegistrations, scanned.individualEnrollments);
  const { bounds = await boundsOf(listing, step.run.id, partition, { chunks, records }) } = checkpoint;
  const range = partOf(bounds, part);
  await storeDifferences({
    table: snapshot.table,
    partition,
    part: range,
    listed: await listedIn(listing, step.run.id, partition, chunks, range),
    ...rowsOf(step, partition),
  });
  if (part < bounds.length) {
    return step.to({ ...checkpoint, bounds, part: part + 1 });
  }
  return step.to(group === undefined ? { phase: 'done' } : { phase: 'unknown', group });
}

function rowsOf({ parts, run }: AuditStep, partition: string): Pick<Comparison, 'rowOf' | 'onChanges'> {
  const { certificates } = parts;
  switch (partition) {
    case individuals:
      return { rowOf: individualRow, onChanges: (changes) => certificates.update('enrollment', changes) };
    case groupCertificates:
      return {
        rowOf: ({ values }) => values,
        onChanges: (changes) => certificates.update('group', changes),
      };
    default:
      return { rowOf: (record, before) => registrationRow(record, before, run.number) };
  }
}
