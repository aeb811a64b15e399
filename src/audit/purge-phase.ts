import type { SubjectKind } from '../events/manufacturing-event.ts';
import type { Unit } from './audit-plan.ts';
import type { AuditStep } from './audit-step.ts';

/** What is older than its retention, and what the run has no more use for. Events go page by page. */
export async function purge(
  step: AuditStep,
  { kind, continuation }: { readonly kind: SubjectKind; readonly continuation?: string },
): Promise<Unit> {
  const { ledger, rejectedEvents, retention, retentionDays, listing, snapshot } = step.parts;
  const before = new Date(step.now().getTime() - retentionDays * 86_400_000);
  const time = before.toISOString();
  const next = await ledger.purgeEvents(kind, time, continuation);
  if (next !== undefined) {
    return step.to({ phase: 'purge', kind, continuation: next });
  }
  if (kind === 'device') {
    return step.to({ phase: 'purge', kind: 'batch' });
  }
  await rejectedEvents.purge(before);
  await retention.purge(before);
  await listing.clear();
  for (const [group, since] of Object.entries(step.run.goneGroups)) {
    await (since < time ? snapshot.forgetGroup(group) : undefined);
  }
  return step.to({ phase: 'done' });
}
