import type { EnrollmentGroup } from '../dps/models.ts';
import { subjectOf } from '../enrollment/ledger/ledger.ts';
import { type AuditRun, counted } from './audit-run.ts';
import type { AuditStep } from './audit-step.ts';
import { groupLimitFindings } from './capacity-findings.ts';
import { certificateFindings } from './certificate-findings.ts';
import { registeredButUnknown } from './device-findings.ts';
import { dpsCapacity } from './dps-capacity.ts';
import { welcomesAnybody } from './group-rules.ts';
import { listingBegun, listingEnded, listingRestarted } from './listing.ts';
import { noteMissingOfProfiles } from './missing-groups.ts';
import type { Registration, Snapshot } from './registration-snapshot.ts';
import { evaluateGroup } from './stored-enrollments.ts';

export async function scanGroups(step: AuditStep, continuation: string | undefined): Promise<AuditRun> {
  const { parts } = step;
  const run = listingBegun(step.run);
  const page = await step.page(continuation, (settings) =>
    parts.dps.enrollmentGroups.query().byPage(settings).next(),
  );
  if (page === 'expired') {
    return listingRestarted(run, { phase: 'groups' });
  }
  const groups = new Set(run.groups);
  const closedGroups = new Set(run.closedGroups);
  const groupKinds = { ...run.groupKinds };
  for (const { enrollmentGroupId, attestation, provisioningStatus } of page.items) {
    const id = enrollmentGroupId.toLowerCase();
    if (groups.has(id)) {
      continue;
    }
    groups.add(id);
    if (provisioningStatus === 'disabled') {
      closedGroups.add(id);
    }
    groupKinds[attestation.type === 'x509' ? 'x509' : 'symmetricKey']++;
  }
  await parts.certificates.save(run.id, page.items);
  await step.inParallel(page.items, async (group) => {
    await step.note(...certificateFindings(group, step.now()));
    await evaluateGroup(step, group);
  });
  const next = {
    ...run,
    groups: [...groups],
    closedGroups: [...closedGroups],
    groupKinds,
    groupFindings: { ...run.groupFindings, ...foundOf(step, page.items) },
    scanned: { ...run.scanned, enrollmentGroups: groups.size },
  };
  if (page.continuation !== undefined) {
    return { ...next, checkpoint: { phase: 'groups', continuation: page.continuation } };
  }
  await step.note(...groupLimitFindings(groupKinds, parts.capacity ?? dpsCapacity));
  const missingGroups = await noteMissingOfProfiles(step, groups);
  return { ...listingEnded({ ...next, missingGroups }), checkpoint: { phase: 'registrations', group: 0 } };
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
  const { parts } = step;
  const run = listingBegun(step.run);
  const group = run.groups[index];
  if (group === undefined) {
    return { ...listingEnded(run), checkpoint: { phase: 'enrollments' } };
  }
  const page = await step.page(continuation, (settings) =>
    parts.dps.deviceRegistrationStates.query(group).byPage(settings).next(),
  );
  if (page === 'expired') {
    return listingRestarted(run, { phase: 'registrations', group: index });
  }
  await parts.snapshot.saveGroupPage(group, run, page.items);
  if (page.continuation === undefined) {
    await parts.snapshot.dropGroupRowsNotOf(group, run.id);
  }
  const groupRegistrations = run.scanned.groupRegistrations + page.items.length;
  const next = {
    ...run,
    scanned: { ...run.scanned, groupRegistrations },
    states: counted(
      run.states,
      page.items.map(({ status }) => status),
    ),
  };
  if (page.continuation !== undefined) {
    return {
      ...next,
      checkpoint: { phase: 'registrations', group: index, continuation: page.continuation },
    };
  }
  const isEmpty = continuation === undefined && page.items.length === 0;
  return {
    ...listingEnded(next),
    checkpoint: isEmpty ? { phase: 'registrations', group: index + 1 } : { phase: 'unknown', group: index },
  };
}

/** The group's records beside the ledger, both in the order of their ids: what only DPS has, no event has named. */
export async function findUnknown(
  step: AuditStep,
  index: number,
  after: string | undefined,
): Promise<AuditRun> {
  const { run, parts } = step;
  const group = run.groups[index] ?? '';
  if (await welcomesAnybody(step, group)) {
    return { ...run, checkpoint: { phase: 'registrations', group: index + 1 } };
  }
  const page = await parts.snapshot.pageOfGroup(group, run.id, after);
  const unknown = new Map(page.records.map((record) => [record.id, record]));
  const [first, last] = [page.records[0], page.records.at(-1)];
  if (first && last) {
    for await (const id of parts.ledger.idsBetween('device', first.id, last.id)) {
      unknown.delete(id);
    }
  }
  await step.inParallel([...unknown.values()], (record) => noteUnknown(step, group, record));
  return {
    ...run,
    checkpoint:
      page.after === undefined
        ? { phase: 'registrations', group: index + 1 }
        : { phase: 'unknown', group: index, after: page.after },
  };
}

/** Somebody is woken for this, and queries lag behind writes: so the record itself is looked at first. */
async function noteUnknown(step: AuditStep, group: string, listed: Snapshot): Promise<void> {
  const { id } = listed;
  let record: Registration = listed;
  if (step.mayConfirm('registered-but-unknown')) {
    const actual = await step.registrationState(id);
    if (!actual || (await step.parts.ledger.readState(subjectOf('device', id)))) {
      return;
    }
    const { status, assignedHub, deviceId, createdDateTimeUtc, lastUpdatedDateTimeUtc } = actual;
    record = {
      ...{ status, assignedHub, deviceId, checkedAt: undefined },
      created: createdDateTimeUtc,
      lastUpdated: lastUpdatedDateTimeUtc,
    };
  }
  await step.note(registeredButUnknown(id, group, record));
  await step.listUnknown(id, record);
}
