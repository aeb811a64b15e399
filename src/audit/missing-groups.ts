import { desiredState } from '../enrollment/ledger/desired-state.ts';
import { subjectOf } from '../enrollment/ledger/ledger.ts';
import type { AuditStep } from './audit-step.ts';
import type { Finding } from './finding.ts';
import { mostSpelledOut } from './finding-tally.ts';

/** Groups that profiles name and DPS does not have. The groups of DPS have been listed before. */
export async function noteMissingOfProfiles(
  step: AuditStep,
  listed: ReadonlySet<string>,
): Promise<readonly string[]> {
  const named = new Map<string, string>();
  for (const { enrollmentGroup, product } of step.parts.profiles.all) {
    if (enrollmentGroup !== undefined && !listed.has(enrollmentGroup.toLowerCase())) {
      named.set(enrollmentGroup.toLowerCase(), product);
    }
  }
  const missing: string[] = [];
  for (const [id, product] of named) {
    if (!(await isThere(step, id))) {
      missing.push(id);
      step.note(groupMissing(id, `the profile of ${product} names it`));
    }
  }
  return missing;
}

/** Groups that devices of a page are expected in, that no batch event has made, and that DPS does not have. */
export async function noteMissingOfMembers(
  step: AuditStep,
  expected: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const noted = [...step.run.missingGroups, ...step.unit.counts.missingGroups];
  const known = new Set([...step.run.groups, ...noted]);
  const missing: string[] = [];
  for (const [id, device] of expected) {
    const isNews = !known.has(id) && noted.length + missing.length < mostSpelledOut;
    if (isNews && !(await isOfBatch(step, id)) && !(await isThere(step, id))) {
      missing.push(id);
      step.note(groupMissing(id, `devices are expected in it, ${device} for example`));
    }
  }
  return missing;
}

/** What the events ask of a batch is reported as the batch's own. */
async function isOfBatch(step: AuditStep, id: string): Promise<boolean> {
  const { ledger, profiles } = step.parts;
  const state = await ledger.readState(subjectOf('batch', id));
  const kind = state && desiredState('batch', id, state.registers, profiles).kind;
  return kind === 'group' || kind === 'no-group';
}

/** Made since the groups were listed. */
async function isThere(step: AuditStep, id: string): Promise<boolean> {
  return step.mayConfirm('group-missing') && (await step.group(id)) !== undefined;
}

function groupMissing(id: string, who: string): Finding {
  return {
    severity: 'warning',
    code: 'group-missing',
    subject: id,
    detail: `DPS has no enrollment group ${id}, and ${who}: none of its devices can register. Make the group, send batch.started for it, or correct the name in the profile or in the devices' events.`,
  };
}
