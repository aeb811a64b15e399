import { DeviceProvisioningError } from '../dps/errors.ts';
import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import { isOurs } from '../enrollment/hub-access/closing-reason.ts';
import { type Hubs, UnknownHubError } from '../enrollment/hub-access/hubs.ts';
import type { Identity } from '../enrollment/hub-access/identity-access.ts';
import type { SubjectState } from '../enrollment/ledger/subject-state.ts';
import { sha256 } from '../events/event-identity.ts';
import type { AuditStep } from './audit-step.ts';
import type { Finding } from './finding.ts';
import type { HubEvidence } from './hub-findings.ts';

/** What was closed, and confirmed, is asked after once in so many runs. */
const runsPerTurn = 16;
const timeoutInMs = 20_000;

type Said = 'open' | 'closed' | 'closed by us' | 'unknown';

interface Place extends Identity {
  readonly said: Said;
}

export interface DeviceAtHubs {
  readonly evidence: HubEvidence;
  readonly state: SubjectState;
  /** Its batch is closed, and so are its members' hubs. */
  readonly isClosedWithBatch: boolean;
}

/**
 * With HUB_ACCESS=close: what the hubs themselves say, in place of what DPS does not know. Where something was not
 * closed, its hub is asked; where it was, in turns, so that a hub that somebody opened again is found.
 */
export async function hubChecks(
  step: AuditStep,
  hubs: Hubs,
  { evidence, state, isClosedWithBatch }: DeviceAtHubs,
  findings: readonly Finding[],
): Promise<readonly Finding[]> {
  const { id, keptOut } = evidence;
  const supposed = findings.find(({ code }) => code === 'disabled-yet-assigned');
  const rest = findings.filter((finding) => finding !== supposed);
  const places = placesOf(evidence, state);
  if (places.length === 0 || (keptOut !== undefined && !supposed && !state.hubs)) {
    return findings;
  }
  const isConfirmed = isClosedWithBatch || (state.hubs?.every(({ access }) => access === 'closed') ?? false);
  const isDue = isTurnOf(id, step.run.number);
  if (keptOut === undefined) {
    const asked = isDue && step.mayConfirm('not-applied') ? await ask(step, hubs, places) : [];
    return [...findings, ...asked.filter(({ said }) => said === 'closed by us').map(yetClosed(id))];
  }
  const isAsked = (!isConfirmed || isDue) && step.mayConfirm('disabled-yet-assigned');
  if (!isAsked) {
    return isConfirmed || !supposed ? rest : findings;
  }
  const asked = await ask(step, hubs, places);
  const open = asked.find(({ said }) => said === 'open');
  if (open) {
    return [...rest, yetOpen(id, keptOut, open, step.now())];
  }
  const unknown = asked.find(({ said }) => said === 'unknown');
  return unknown && !isConfirmed ? [...rest, notKnown(id, keptOut, unknown)] : rest;
}

function placesOf({ registration, id }: HubEvidence, { hubs = [] }: SubjectState): readonly Identity[] {
  const { assignedHub, deviceId = id } = registration ?? {};
  const now = assignedHub === undefined ? [] : [{ hub: assignedHub.toLowerCase(), deviceId }];
  const isNew = ({ hub }: Identity) => !hubs.some((each) => each.hub === hub);
  return [...hubs, ...now.filter(isNew)];
}

function isTurnOf(id: string, runNumber: number): boolean {
  return Number.parseInt(sha256(id).slice(0, 4), 16) % runsPerTurn === runNumber % runsPerTurn;
}

function ask(step: AuditStep, hubs: Hubs, places: readonly Identity[]): Promise<readonly Place[]> {
  return Promise.all(places.map(async (place) => ({ ...place, said: await askOne(step, hubs, place) })));
}

async function askOne(step: AuditStep, hubs: Hubs, { hub, deviceId }: Identity): Promise<Said> {
  try {
    const { client, throttled } = hubs.of(hub);
    const deadline = step.now().getTime() + timeoutInMs;
    const found = await throttled.call('audit', deadline, () => client.get(deviceId));
    if (found?.status === 'enabled') {
      return 'open';
    }
    return isOurs(found?.statusReason) ? 'closed by us' : 'closed';
  } catch (error) {
    const isExpected = [RetryLaterError, UnknownHubError, DeviceProvisioningError].some(
      (each) => error instanceof each,
    );
    if (!isExpected) {
      throw error;
    }
    return 'unknown';
  }
}

function yetOpen(id: string, keptOut: string, { hub, deviceId }: Identity, now: Date): Finding {
  return {
    severity: 'critical',
    code: 'disabled-yet-assigned',
    subject: id,
    detail: `The device ${keptOut}, and its hub ${hub} lets it in: the identity ${deviceId} is enabled there, as the hub said at ${now.toISOString()}. Somebody enabled it, or it was never closed. Send the hold once more under a new id, which closes it, or disable it there.`,
  };
}

function notKnown(id: string, keptOut: string, { hub, deviceId }: Identity): Finding {
  return {
    severity: 'warning',
    code: 'disabled-yet-assigned',
    subject: id,
    detail: `The device ${keptOut}, and its hub ${hub} could not be asked whether it lets ${deviceId} in. Look whether that hub exists, answers, and gives this app the role IoT Hub Registry Contributor.`,
  };
}

function yetClosed(id: string): (place: Identity) => Finding {
  return ({ hub, deviceId }) => ({
    severity: 'warning',
    code: 'not-applied',
    subject: id,
    detail: `Nothing keeps the device out, and its hub ${hub} does: the identity ${deviceId} is disabled there, for a hold that has ended. Send device.released once more under a new id, or enable it there.`,
  });
}
