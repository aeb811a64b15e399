import type { DeviceRegistrationState } from '../../dps/models.ts';
import type { Clock } from '../../tools/clock.ts';
import type { Log } from '../../tools/log.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import type { HubAccess, HubPlace, SubjectState } from '../ledger/subject-state.ts';
import type { ClosingReason } from './closing-reason.ts';
import { UnknownHubError } from './hubs.ts';
import type { Identity, IdentityAccess, IdentityCall } from './identity-access.ts';

/** Where a device was seen before: what a later registration, or a refusal, makes DPS forget. */
export interface EarlierPlaces {
  of(registrationId: string, enrollmentGroupId: string | undefined): Promise<readonly Identity[]>;
}

export interface DeviceHubsParts {
  readonly access: IdentityAccess;
  readonly earlier: EarlierPlaces;
  readonly clock: Clock;
  readonly log: Log;
}

export interface DeviceHubsTask extends Omit<IdentityCall, 'mustWrite' | 'beforeWrite' | 'callerClass'> {
  readonly registrationId: string;
  readonly enrollmentGroupId: string | undefined;
  readonly known: SubjectState['hubs'];
  readonly wanted: 'open' | 'closed' | 'removed';
  readonly reason: ClosingReason;
  /** Why it stays closed although nothing is said against the device itself: its batch. */
  readonly standing: () => Promise<ClosingReason | undefined>;
  /** Read of devices that are kept out. */
  readonly registration: DeviceRegistrationState | undefined;
  /** Minutes later: what is known is looked at again. */
  readonly isLook: boolean;
  /** Failed attempts so far. */
  readonly tries: number;
  /** Written before the hub is, so that whoever comes after a crash knows. */
  readonly remember: (places: readonly HubPlace[]) => Promise<void>;
}

export interface DeviceHubsResult {
  /** What is to be remembered. */
  readonly places: readonly HubPlace[];
  /** What the hubs say, of every place that was looked at. */
  readonly shown: readonly HubPlace[];
  readonly wrote: boolean;
  /** False: nothing has changed since they were closed for this event. */
  readonly looked: boolean;
}

const placesAtMost = 8;
/** A registration takes seconds. One that has been under way for so long is left to the second look. */
const registersWithinMs = 5 * 60_000;
const looksAgainInMs = 2_000;
/** From so many tries on, a hub whose name nobody knows is held to be gone. */
const goneAfterTries = 5;

/** The identities of a device in all hubs that it was ever seen in, opened or closed as the events say. */
export class DeviceHubs {
  readonly #parts: DeviceHubsParts;

  constructor(parts: DeviceHubsParts) {
    this.#parts = parts;
  }

  async settle(task: DeviceHubsTask): Promise<DeviceHubsResult> {
    const { wanted, registration } = task;
    const known = withPlaceOf(registration, task.known ?? []);
    if (wanted === 'open' && known.every(({ access }) => access === 'open')) {
      return { places: known, shown: [], wrote: false, looked: false };
    }
    if (wanted !== 'open' && registration?.status === 'assigning' && this.#isUnderWay(registration)) {
      const notBefore = this.#parts.clock.now().getTime() + looksAgainInMs;
      const why = `Device ${task.registrationId} is registering just now.`;
      throw new RetryLaterError(why, { notBefore, soon: true });
    }
    const places = wanted === 'open' ? known : await this.#places(task, known);
    const isSettled = (place: HubPlace) => place.access === 'closed' && place.event === task.reason.event;
    if (wanted === 'closed' && !task.isLook && task.known && places.every(isSettled)) {
      return { places, shown: places, wrote: false, looked: false };
    }
    return this.#settleAll(task, places);
  }

  async #settleAll(task: DeviceHubsTask, all: readonly HubPlace[]): Promise<DeviceHubsResult> {
    let places = all;
    const shown: HubPlace[] = [];
    let wrote = false;
    for (const place of all) {
      const note = (access: HubAccess) => {
        places = places.map((each) => (isSame(each, place) ? noted(each, access, task) : each));
      };
      const result = await this.#settleOne(task, place, async () => {
        note('pending');
        await task.remember(places);
      });
      wrote ||= result.wrote;
      shown.push({ ...place, access: result.access });
      // What stays closed for others' sake is no longer so for its own.
      note(task.wanted === 'open' && result.access === 'closed' ? 'open' : result.access);
      if (result.isGone && task.wanted !== 'closed') {
        places = places.filter((each) => !isSame(each, place));
      }
    }
    return { places, shown, wrote, looked: true };
  }

  #isUnderWay({ lastUpdatedDateTimeUtc = '' }: DeviceRegistrationState): boolean {
    const age = this.#parts.clock.now().getTime() - Date.parse(lastUpdatedDateTimeUtc);
    return !(age > registersWithinMs);
  }

  async #settleOne(
    task: DeviceHubsTask,
    place: HubPlace,
    remember: () => Promise<void>,
  ): Promise<{ readonly access: HubAccess; readonly wrote: boolean; readonly isGone: boolean }> {
    const { access, log } = this.#parts;
    let isRemembered = place.access === 'pending';
    const call: IdentityCall = {
      callerClass: 'pipeline',
      deadline: task.deadline,
      isWanted: task.isWanted,
      mustWrite: isRemembered,
      beforeWrite: async () => {
        if (!isRemembered) {
          await remember();
          isRemembered = true;
        }
      },
    };
    try {
      const result = await change(access, task, place, call);
      if (result.isForeign) {
        log('warning', 'hub-access-foreign', { ...about(task, place), why: 'somebody else has disabled it' });
      }
      const isGone = result.access === 'absent';
      return { access: result.access === 'open' ? 'open' : 'closed', wrote: result.wrote, isGone };
    } catch (error) {
      if (!isBeyondReach(error, task.tries)) {
        throw error;
      }
      log('error', 'hub-access-unknown', { ...about(task, place), why: error.message });
      return { access: 'pending', wrote: false, isGone: false };
    }
  }

  /** The newest first: what DPS says now, what was known, and what the audit has seen. */
  async #places({ registrationId, enrollmentGroupId }: DeviceHubsTask, known: readonly HubPlace[]) {
    const earlier = await this.#parts.earlier.of(registrationId, enrollmentGroupId);
    const others = earlier.filter((place) => !known.some((each) => isSame(each, place)));
    const places = [...known, ...others.map((place) => ({ ...place, access: 'open' as const }))];
    return places.slice(0, placesAtMost);
  }
}

/** The newest first. */
function withPlaceOf(
  registration: DeviceRegistrationState | undefined,
  known: readonly HubPlace[],
): readonly HubPlace[] {
  const now = registration && identityOf(registration);
  return !now || known.some((each) => isSame(each, now)) ? known : [{ ...now, access: 'open' }, ...known];
}

function noted(
  { hub, deviceId }: HubPlace,
  access: HubAccess,
  { wanted, reason: { event } }: DeviceHubsTask,
): HubPlace {
  return { hub, deviceId, access, ...(wanted === 'closed' && event !== undefined ? { event } : {}) };
}

function change(access: IdentityAccess, task: DeviceHubsTask, place: HubPlace, call: IdentityCall) {
  switch (task.wanted) {
    case 'open':
      return access.open(place, task.standing, call);
    case 'closed':
      return access.close(place, task.reason, call);
    default:
      return access.remove(place, call);
  }
}

/** Where a device is connected, as its registration record says it. */
export function identityOf(record: DeviceRegistrationState): Identity | undefined {
  const { status, assignedHub, deviceId, registrationId } = record;
  const id = deviceId ?? registrationId;
  return status === 'assigned' && assignedHub && id
    ? { hub: assignedHub.toLowerCase(), deviceId: id }
    : undefined;
}

/** The name of a hub that was deleted is soon unknown; a name server that fails says something else. */
export function isBeyondReach(error: unknown, tries: number): error is Error {
  if (error instanceof UnknownHubError) {
    return true;
  }
  return error instanceof RetryLaterError && tries >= goneAfterTries && hasCode(error, 'ENOTFOUND');
}

function hasCode(error: unknown, code: string): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ('code' in each && each.code === code) {
      return true;
    }
  }
  return false;
}

function isSame(left: Identity, right: Identity): boolean {
  return left.hub === right.hub && left.deviceId === right.deviceId;
}

function about({ registrationId }: DeviceHubsTask, { hub, deviceId }: Identity) {
  return { registrationId, hub, deviceId };
}
