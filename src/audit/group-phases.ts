import type { DeviceRegistrationState, EnrollmentGroup } from '../dps/models.ts';
import { subjectOf } from '../enrollment/ledger.ts';
import { type AuditRun, counted } from './audit-run.ts';
import { type AuditStep, pageStart } from './audit-step.ts';
import { groupLimitFindings } from './capacity-findings.ts';
import { certificateFindings } from './certificate-findings.ts';
import { registeredButUnknown } from './device-findings.ts';
import { dpsCapacity } from './dps-capacity.ts';
import { judgeGroup } from './stored-enrollments.ts';

export async function scanGroups(step: AuditStep, continuation: string | undefined): Promise<AuditRun> {
  const { run, parts } = step;
  const page = await step.page(() =>
    parts.dps.enrollmentGroups.query().byPage(pageStart(continuation)).next(),
  );
  const groups = new Set(run.groups);
  const groupKinds = { ...run.groupKinds };
  for (const { enrollmentGroupId, attestation } of page.items) {
    const id = enrollmentGroupId.toLowerCase();
    if (groups.has(id)) continue;
    groups.add(id);
    groupKinds[attestation.type === 'x509' ? 'x509' : 'symmetricKey']++;
  }
  await parts.certificates.save(run.id, page.items);
  await step.inParallel(page.items, async (group) => {
    await step.note(...certificateFindings(group, step.now()));
    await judgeGroup(step, group);
  });
  const next = {
    ...run,
    groups: [...groups],
    groupKinds,
    groupFindings: { ...run.groupFindings, ...foundOf(step, page.items) },
    scanned: { ...run.scanned, enrollmentGroups: groups.size },
  };
  if (page.continuation !== undefined)
    return { ...next, checkpoint: { phase: 'groups', continuation: page.continuation } };
  await step.note(...groupLimitFindings(groupKinds, parts.capacity ?? dpsCapacity));
  return { ...next, checkpoint: { phase: 'registrations', group: 0 } };
}

/** For the pages of their batches; what a text says beyond this the list of findings has. */
function foundOf(step: AuditStep, groups: readonly EnrollmentGroup[]): AuditRun['groupFindings'] {
  const found = groups.flatMap(({ enrollmentGroupId }) => {
    const id = enrollmentGroupId.toLowerCase();
    const findings = step.found.get(id)?.map((each) => ({ ...each, detail: each.detail.slice(0, 400) }));
    return findings ? [[id, findings] as const] : [];
  });
  return Object.fromEntries(found);
}

export async function scanRegistrations(
  step: AuditStep,
  index: number,
  continuation: string | undefined,
): Promise<AuditRun> {
  const { run, parts } = step;
  const group = run.groups[index];
  if (group === undefined) return { ...run, checkpoint: { phase: 'enrollments' } };
  const page = await step.page(() =>
    parts.dps.deviceRegistrationStates.query(group).byPage(pageStart(continuation)).next(),
  );
  await parts.snapshot.saveGroupPage(group, run, page.items);
  await step.inParallel(page.items, (record) => judgeGroupRecord(step, group, record));
  if (page.continuation === undefined) await parts.snapshot.dropGroupRowsNotOf(group, run.id);
  const groupRegistrations = run.scanned.groupRegistrations + page.items.length;
  return {
    ...run,
    scanned: { ...run.scanned, groupRegistrations },
    states: counted(
      run.states,
      page.items.map(({ status }) => status),
    ),
    checkpoint:
      page.continuation === undefined
        ? { phase: 'registrations', group: index + 1 }
        : { phase: 'registrations', group: index, continuation: page.continuation },
  };
}

async function judgeGroupRecord(
  step: AuditStep,
  group: string,
  record: DeviceRegistrationState,
): Promise<void> {
  const id = record.registrationId?.toLowerCase();
  if (id === undefined || (await step.parts.ledger.readState(subjectOf('device', id)))) return;
  // Somebody is woken for this, and queries lag behind writes: look at the record itself first.
  const confirmed = await step.registrationState(id);
  if (!confirmed) return;
  await step.note(registeredButUnknown(id, group, confirmed));
  const { status, assignedHub, deviceId, createdDateTimeUtc, lastUpdatedDateTimeUtc } = confirmed;
  await step.listUnknown(id, {
    ...{ status, assignedHub, deviceId, checkedAt: undefined },
    created: createdDateTimeUtc,
    lastUpdated: lastUpdatedDateTimeUtc,
  });
}
