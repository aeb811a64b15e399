import type { Unit } from './audit-plan.ts';
import type { AuditStep } from './audit-step.ts';
import { certificateSlots } from './certificate-findings.ts';
import { certificatePartitions, type Holder, type SharedCertificate } from './certificate-register.ts';
import type { Finding } from './finding.ts';

/** Up to so many are looked through in one step. */
const fewEnrollments = 20_000;

export async function findSharedCertificates(step: AuditStep, partition: number): Promise<Unit> {
  const isSmall = step.run.scanned.individualEnrollments <= fewEnrollments;
  const next = isSmall ? certificatePartitions : partition + 1;
  for await (const shared of step.parts.certificates.shared(partition, next)) {
    const confirmed = await stillShared(step, shared);
    if (confirmed) {
      step.note(certificateShared(confirmed));
    }
  }
  return step.to(
    next < certificatePartitions ? { phase: 'certificates', partition: next } : { phase: 'done' },
  );
}

/** Queries lag behind writes: an enrollment that has gone, or has another certificate by now, holds it no more. */
async function stillShared(
  step: AuditStep,
  shared: SharedCertificate,
): Promise<SharedCertificate | undefined> {
  const holders: Holder[] = [];
  for (const holder of shared.holders) {
    if (!step.mayConfirm('certificate-shared') || (await holds(step, holder, shared.thumbprint))) {
      holders.push(holder);
    }
  }
  const count = shared.count - shared.holders.length + holders.length;
  return count > 1 ? { ...shared, holders, count } : undefined;
}

async function holds(step: AuditStep, { kind, id }: Holder, thumbprint: string): Promise<boolean> {
  const stored = kind === 'group' ? await step.group(id) : await step.enrollment(id);
  if (!stored) {
    return false;
  }
  return certificateSlots(stored).some(({ info }) => info.sha256Thumbprint.toUpperCase() === thumbprint);
}

function certificateShared({ thumbprint, holders, count }: SharedCertificate): Finding {
  const told = holders.map(({ kind, id }) => (kind === 'group' ? `the group ${id}` : id)).join(', ');
  const more = count > holders.length ? `, and ${count - holders.length} more` : '';
  return {
    severity: 'warning',
    code: 'certificate-shared',
    subject: thumbprint,
    detail: `${count} enrollments hold the certificate with this SHA-256 thumbprint: ${told}${more}. Whoever has its private key passes for each of them, and DPS cannot tell whose devices they are. Issue a certificate to each, and send device.changed, or batch.started under a new id, with it.`,
  };
}
