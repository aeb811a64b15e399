import type { GroupKinds } from './audit-counts.ts';
import type { AuditRun } from './audit-run.ts';
import type { DpsCapacity } from './dps-capacity.ts';
import type { Finding } from './finding.ts';

/** Early enough to order a second instance. */
const nearlyFull = 0.9;

export function groupLimitFindings(counted: GroupKinds, { enrollmentGroups }: DpsCapacity): Finding[] {
  const kinds = [
    { kind: 'x509', subject: 'X.509 enrollment groups' },
    { kind: 'symmetricKey', subject: 'symmetric-key enrollment groups' },
  ] as const;
  return kinds.flatMap(({ kind, subject }) =>
    isNearlyFull(counted[kind], enrollmentGroups[kind])
      ? limitFinding(
          'group-limit',
          subject,
          `DPS has ${counted[kind]} of at most ${enrollmentGroups[kind]} ${subject}. When none is left, batch.started of another batch waits, retrying, and its devices cannot register. Send batch.retired for batches whose devices have all registered, or give new products another DPS instance.`,
        )
      : [],
  );
}

/** By what the run met: records that groups and enrollments left behind when they were deleted are not among them. */
export function quotaFindings({ scanned, states }: AuditRun, capacity: DpsCapacity): Finding[] {
  const { individualEnrollments } = scanned;
  const registrations = states.assigned + states.assigning + states.failed + states.disabled;
  const held = [
    {
      subject: 'individual enrollments',
      count: individualEnrollments,
      most: capacity.individualEnrollments,
      next: 'When it is full, device.manufactured waits, retrying. Send device.scrapped for devices that are no more, or enroll new products through groups or another DPS instance.',
    },
    {
      subject: 'registrations',
      count: registrations,
      most: capacity.registrations,
      next: 'When it is full, no further device can register. Send device.scrapped and batch.retired for what is no more, or give new products another DPS instance.',
    },
  ];
  return held.flatMap(({ subject, count, most, next }) =>
    isNearlyFull(count, most)
      ? limitFinding(
          'quota-nearly-used',
          subject,
          `The audit met ${count} ${subject}, and a DPS instance holds ${most}. ${next}`,
        )
      : [],
  );
}

function isNearlyFull(count: number, most: number): boolean {
  return count >= most * nearlyFull;
}

function limitFinding(
  code: 'group-limit' | 'quota-nearly-used',
  subject: string,
  detail: string,
): readonly Finding[] {
  return [{ severity: 'warning', code, subject, detail }];
}
