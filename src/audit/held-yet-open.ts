import type { DesiredState } from '../enrollment/ledger/desired-state.ts';
import type { Registers } from '../enrollment/ledger/registers.ts';
import type { SubjectRef } from '../enrollment/ledger/subject-state.ts';
import type { StoredEnrollment } from './certificate-findings.ts';
import type { Finding } from './finding.ts';

/** What is held, scrapped or recalled, and has an enrollment or group that lets it in all the same. */
export function openEnrollment(
  { kind, id }: SubjectRef,
  desired: DesiredState,
  registers: Registers,
  stored: StoredEnrollment,
): Finding | undefined {
  if (stored.provisioningStatus === 'disabled' || !isToBeShut(desired)) {
    return undefined;
  }
  const [what, event] =
    kind === 'device'
      ? ['individual enrollment', lifeOf(registers) === 'scrapped' ? 'device.scrapped' : 'device.held']
      : ['enrollment group', lifeOf(registers) === 'recalled' ? 'batch.recalled' : 'batch.held'];
  return {
    severity: 'critical',
    code: 'held-yet-open',
    subject: id,
    detail: `The ${kind} ${whyShut(registers)}, and its ${what} in DPS is enabled: whoever has its credentials is let in. Somebody enabled or made it by hand, or the event has not reached DPS. Disable it in DPS, or send ${event} again under a new id.`,
  };
}

/** A device that only a disabled enrollment would keep out, which is not there. */
export function missingDenial(
  id: string,
  registers: Registers,
  enrollmentGroupId: string | undefined,
): Finding {
  const through =
    enrollmentGroupId === undefined
      ? 'and DPS has groups that may let it in'
      : `and its group ${enrollmentGroupId} lets it in`;
  const event = lifeOf(registers) === 'scrapped' ? 'device.scrapped' : 'device.held';
  return {
    severity: 'critical',
    code: 'held-yet-open',
    subject: id,
    detail: `The device ${whyShut(registers)}, the disabled individual enrollment that keeps it out is gone from DPS, ${through}. Send ${event} again under a new id.`,
  };
}

function isToBeShut(desired: DesiredState): boolean {
  switch (desired.kind) {
    case 'enrollment':
      return desired.enrollment.provisioningStatus === 'disabled';
    case 'group':
      return desired.group.provisioningStatus === 'disabled';
    default:
      return desired.kind === 'blocked' || desired.kind === 'shut' || desired.kind === 'no-enrollment';
  }
}

function whyShut(registers: Registers): string {
  const life = lifeOf(registers);
  if (life === 'scrapped' || life === 'recalled' || life === 'retired') {
    return `was ${life}`;
  }
  return 'is held';
}

function lifeOf({ life }: Registers) {
  return life?.life;
}
