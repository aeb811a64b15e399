import type { EnrollmentGroup } from '../dps/models.ts';
import { subjectOf } from '../enrollment/ledger/ledger.ts';
import { type AuditCounts, countedStates, scannedOnly } from './audit-counts.ts';
import type { Unit } from './audit-plan.ts';
import type { AuditStep } from './audit-step.ts';
import { groupLimitFindings } from './capacity-findings.ts';
import { certificateFindings, storedId } from './certificate-findings.ts';
import { certificatesOf, groupCertificates } from './certificate-register.ts';
import { registeredButUnknown } from './device-findings.ts';
import { dpsCapacity } from './dps-capacity.ts';
import { welcomesAnybody } from './group-rules.ts';
import { listingRestarted, readPages } from './listing.ts';
import { noteMissingOfProfiles } from './missing-groups.ts';
import {
  groupPartition,
  listedRegistrations,
  type Registration,
  type Snapshot,
} from './registration-snapshot.ts';
import { evaluateGroup } from './stored-enrollments.ts';

export async function scanGroups(
  step: AuditStep,
  { chunk, continuation }: { readonly chunk: number; readonly continuation?: string },
): Promise<Unit> {
  const { parts, run } = step;
  const listed = await readPages(step, continuation, (settings) =>
    parts.dps.enrollmentGroups.query().byPage(settings).next(),
  );
  if (listed === 'expired') {
    return listingRestarted(step, { phase: 'groups', chunk: 0 });
  }
  const groups = listed.items;
  await step.inParallel(groups, async (group) => {
    step.note(...certificateFindings(group, step.now()));
    await evaluateGroup(step, group);
  });
  const records = groups.map((group) => ({ id: storedId(group), values: certificatesOf(group) }));
  const chunks = await parts.listing.append(run.id, groupCertificates, chunk, records);
  const counted = { ...countedGroups(step, groups), groupFindings: foundOf(step, groups) };
  if (listed.continuation !== undefined) {
    return step.to({ phase: 'groups', chunk: chunks, continuation: listed.continuation }, counted);
  }
  const { groupKinds, groups: ids } = step.to({ phase: 'done' }, counted).counts;
  step.note(...groupLimitFindings(groupKinds, parts.capacity ?? dpsCapacity));
  const missingGroups = await noteMissingOfProfiles(step, new Set(ids));
  return step.to(
    { phase: 'comparison', of: groupCertificates, chunks, part: 0 },
    { ...counted, missingGroups },
  );
}

/** A group that is listed twice is counted once. */
function countedGroups(step: AuditStep, listed: readonly EnrollmentGroup[]): Partial<AuditCounts> {
  const known = new Set(step.unit.counts.groups);
  const groups = new Map(listed.map((group) => [storedId(group), group]));
  const fresh = [...groups].filter(([id]) => !known.has(id));
  const kinds = fresh.map(([, { attestation }]) => (attestation.type === 'x509' ? 'x509' : 'symmetricKey'));
  return {
    groups: fresh.map(([id]) => id),
    closedGroups: fresh.flatMap(([id, group]) => (group.provisioningStatus === 'disabled' ? [id] : [])),
    groupKinds: {
      x509: kinds.filter((kind) => kind === 'x509').length,
      symmetricKey: kinds.filter((kind) => kind === 'symmetricKey').length,
    },
    scanned: scannedOnly({ enrollmentGroups: fresh.length }),
  };
}

/** For the pages of their batches; what a text says beyond this the list of findings has. */
function foundOf(step: AuditStep, groups: readonly EnrollmentGroup[]): AuditCounts['groupFindings'] {
  const found = groups.flatMap((group) => {
    const id = storedId(group);
    const findings = step.found.get(id)?.map((each) => ({ ...each, detail: each.detail.slice(0, 400) }));
    return findings ? [[id, findings] as const] : [];
  });
  return Object.fromEntries(found);
}

export async function scanRegistrations(
  step: AuditStep,
  {
    group,
    chunk,
    continuation,
  }: { readonly group: string; readonly chunk: number; readonly continuation?: string },
): Promise<Unit> {
  const { parts, run } = step;
  const listed = await readPages(step, continuation, (settings) =>
    parts.dps.deviceRegistrationStates.query(group).byPage(settings).next(),
  );
  if (listed === 'expired') {
    return listingRestarted(step, { phase: 'registrations', group, chunk: 0 });
  }
  const states = listed.items;
  const of = groupPartition(group);
  const chunks = await parts.listing.append(run.id, of, chunk, listedRegistrations(states));
  const counted = {
    scanned: scannedOnly({ groupRegistrations: states.length }),
    states: countedStates(states.map(({ status }) => status)),
  };
  return listed.continuation === undefined
    ? step.to({ phase: 'comparison', of, group, chunks, part: 0 }, counted)
    : step.to({ phase: 'registrations', group, chunk: chunks, continuation: listed.continuation }, counted);
}

/** The group's records beside the ledger, both in the order of their ids: what only DPS has, no event has named. */
export async function findUnknown(step: AuditStep, group: string, after: string | undefined): Promise<Unit> {
  const { parts } = step;
  if (await welcomesAnybody(step, group)) {
    return step.to({ phase: 'done' });
  }
  const page = await parts.snapshot.pageOfGroup(group, after);
  const known = await parts.ledger.idsAmong(
    'device',
    page.records.map(({ id }) => id),
  );
  const unknown = page.records.filter(({ id }) => !known.has(id));
  await step.inParallel(unknown, (record) => noteUnknown(step, group, record));
  return step.to(
    page.after === undefined ? { phase: 'done' } : { phase: 'unknown', group, after: page.after },
  );
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
  step.note(registeredButUnknown(id, group, record));
  await step.listUnknown(id, record);
}
