import type { Finding } from './finding.ts';
import type { Registration } from './registration-snapshot.ts';

const hubsTold = 5;

export interface HubEvidence {
  readonly id: string;
  readonly registration: Registration | undefined;
  /** Why the events keep the device out: "is held". */
  readonly keptOut?: string | undefined;
  /** The hubs that its enrollment names; absent: all that are linked. */
  readonly iotHubs?: readonly string[] | undefined;
}

/** Whether the hub that a device was sent to is one where it may be. */
export function hubFindings({ id, registration, keptOut, iotHubs = [] }: HubEvidence): Finding[] {
  const hub = registration?.assignedHub;
  if (hub === undefined) {
    return [];
  }
  const asOf = registration?.checkedAt === undefined ? '' : ` (as DPS said at ${registration.checkedAt})`;
  if (keptOut !== undefined) {
    return [disabledYetAssigned(id, keptOut, hub, registration?.deviceId ?? id, asOf)];
  }
  const isListed = iotHubs.some((each) => each.toLowerCase() === hub.toLowerCase());
  if (registration?.status !== 'assigned' || iotHubs.length === 0 || isListed) {
    return [];
  }
  const listed = iotHubs.slice(0, hubsTold).join(', ') + (iotHubs.length > hubsTold ? ', …' : '');
  return [
    {
      severity: 'warning',
      code: 'wrong-hub',
      subject: id,
      detail: `The device is assigned to ${hub}${asOf}, and its profile names ${listed}: the hubs were changed after it registered, or by hand. It stays where it is until it registers again, and beyond that where the reprovision policy does not update the assignment. Have it register again, or send device.returned first, which makes its next registration a first one.`,
    },
  ];
}

function disabledYetAssigned(
  id: string,
  keptOut: string,
  hub: string,
  deviceId: string,
  asOf: string,
): Finding {
  return {
    severity: 'warning',
    code: 'disabled-yet-assigned',
    subject: id,
    detail: `The device ${keptOut}, and had been assigned to ${hub} before${asOf}. That keeps it from registering again; DPS disconnects nobody, so it may still be connected there. Disable the identity ${deviceId} in ${hub}. Nobody asks the hub, so this stays in the report until the registration record is gone; device.returned deletes it.`,
  };
}
