import type { SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { AuditStep } from './audit-step.ts';
import type { Registration, ScrappedRegistration } from './registration-snapshot.ts';

/**
 * A scrapped device keeps its registration record if it registered after it was scrapped, before we heard of it. No
 * query shows that record, and without an enrollment it can only vanish: so it is asked for once a scrapping, and
 * again only while it is there.
 */
export async function scrappedRegistration(
  step: AuditStep,
  id: string,
  { registers }: SubjectState,
  known: ScrappedRegistration | undefined,
): Promise<Registration | undefined> {
  const { snapshot } = step.parts;
  const scrapping = registers.life?.version.key ?? '';
  if (known?.scrapping === scrapping && known.assignedHub === undefined) {
    return undefined;
  }
  if (!step.mayConfirm('disabled-yet-assigned')) {
    // As it was seen last; the next run goes on with those that nobody has asked for yet.
    return known?.scrapping === scrapping
      ? { status: undefined, assignedHub: known.assignedHub, deviceId: undefined, checkedAt: undefined }
      : undefined;
  }
  const record = await step.registrationState(id);
  await snapshot.saveScrapped(id, { scrapping, assignedHub: record?.assignedHub });
  if (!record) {
    return undefined;
  }
  const { status, assignedHub, deviceId } = record;
  return { status, assignedHub, deviceId, checkedAt: step.now().toISOString() };
}
