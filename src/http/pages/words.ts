/** What codes, states and reasons are called on pages. Codes themselves stay in files and in the API. */
import type { FindingCode } from '../../audit/finding.ts';
import type { Condition } from '../../fleet/fleet-summary.ts';

export interface FindingWords {
  readonly name: string;
  /** What is the matter, for one device or batch. */
  readonly means: string;
  readonly next: string;
  /** What is counted: devices have lists, all else has rows of findings. */
  readonly of: 'devices' | 'batches' | 'other';
}

const known: Partial<Record<string, FindingWords>> & Record<FindingCode, FindingWords> = {
  'registered-but-unknown': {
    name: 'Registered but unknown',
    means: 'A device registered through a group, and no event has ever named it.',
    next: 'Find out who made it. If nobody did, hold it.',
    of: 'devices',
  },
  'held-yet-open': {
    name: 'Held, yet let in',
    means: 'It is held, scrapped or recalled, and DPS would still let it in.',
    next: 'Disable its enrollment or group in DPS, or send its event again under a new id.',
    of: 'devices',
  },
  'group-missing': {
    name: 'Group missing',
    means: 'A profile or a device names an enrollment group that DPS does not have.',
    next: 'Make the group, send batch.started for it, or correct the name.',
    of: 'other',
  },
  'disabled-yet-assigned': {
    name: 'Kept out, yet assigned',
    means: 'It is held, scrapped or of a closed batch, and may still be connected to its hub.',
    next: 'Disable its identity in that hub; device.returned then ends the finding.',
    of: 'devices',
  },
  'enrollment-missing': {
    name: 'Enrollment missing',
    means: 'The events ask for an enrollment or a group, and DPS has none.',
    next: 'Send device.changed or batch.started under a new id.',
    of: 'devices',
  },
  'enrollment-differs': {
    name: 'Enrollment differs',
    means: 'DPS holds something else than events and profile say.',
    next: 'Send its event anew, or put into event or profile what is right.',
    of: 'devices',
  },
  'enrollment-unknown': {
    name: 'Enrollment unknown',
    means: 'DPS has an individual enrollment that no event has named.',
    next: 'Delete it, or send its event.',
    of: 'devices',
  },
  'not-applied': {
    name: 'Not applied',
    means: 'What an event says has not reached DPS, and only its message could apply it.',
    next: 'Look into the dead-letter queue, or send the event again under a new id.',
    of: 'devices',
  },
  'registration-failed': {
    name: 'Registration failed',
    means: 'The device asked DPS, and was refused or could not be placed.',
    next: 'Read DPS’s reason on the device’s page, and compare its credentials with the enrollment.',
    of: 'devices',
  },
  'never-registered': {
    name: 'Never registered',
    means: 'It was manufactured longer ago than its profile allows, and never asked DPS.',
    next: 'Find out where it is: in a warehouse, or switched on and not able to register.',
    of: 'devices',
  },
  'wrong-hub': {
    name: 'Wrong hub',
    means: 'It is assigned to a hub that its profile does not name.',
    next: 'Have it register again; device.returned makes its next registration a first one.',
    of: 'devices',
  },
  'registers-again-and-again': {
    name: 'Registers again and again',
    means: 'It registered anew between each of the last four audits.',
    next: 'Look at the device: it should keep the hub that it was given.',
    of: 'devices',
  },
  'certificate-expired': {
    name: 'Certificate expired',
    means: 'A client or signing certificate in DPS has expired.',
    next: 'Send device.changed, or batch.started under a new id, with the renewed certificate.',
    of: 'devices',
  },
  'certificate-expires-soon': {
    name: 'Certificate expires soon',
    means: 'A client or signing certificate in DPS expires within 30 days.',
    next: 'Send device.changed, or batch.started under a new id, with the renewed certificate.',
    of: 'devices',
  },
  'certificate-shared': {
    name: 'Certificate shared',
    means: 'Several enrollments hold the same certificate, so DPS cannot tell their devices apart.',
    next: 'Issue a certificate to each device.',
    of: 'other',
  },
  'group-limit': {
    name: 'Group limit near',
    means: 'DPS has room for 100 groups of each kind, and nearly all are used.',
    next: 'Send batch.retired for batches whose devices have all registered.',
    of: 'other',
  },
  'quota-nearly-used': {
    name: 'Instance nearly full',
    means: 'The DPS instance holds nearly as many enrollments or registrations as it can.',
    next: 'Retire what is no more, or give new products another instance.',
    of: 'other',
  },
};

/** Codes that a newer app has written have the words of their code. */
export function findingWords(code: string): FindingWords {
  const words = Object.hasOwn(known, code) ? known[code] : undefined;
  return (
    words ?? {
      name: sentenceCase(code.replaceAll('-', ' ')),
      means: 'See the detail of each row.',
      next: 'Read the detail: it says what to do.',
      of: 'devices',
    }
  );
}

export const conditionNames: Readonly<Record<Condition, string>> = {
  assigned: 'Assigned',
  assigning: 'Assigning',
  waiting: 'Not switched on yet',
  overdue: 'Never registered',
  failed: 'Failed',
  disabled: 'Disabled in DPS',
  held: 'Held',
  unassigned: 'Not registered',
};

/** The filters of the list that shows exactly the devices of a condition. */
export const conditionFilters: Readonly<Record<Condition, Readonly<Record<string, string>>>> = {
  assigned: { life: 'manufactured', state: 'assigned', held: 'false' },
  assigning: { life: 'manufactured', state: 'assigning', held: 'false' },
  waiting: { life: 'manufactured', state: 'waiting', held: 'false' },
  overdue: { life: 'manufactured', finding: 'never-registered', held: 'false' },
  failed: { life: 'manufactured', state: 'failed', held: 'false' },
  disabled: { life: 'manufactured', state: 'disabled', held: 'false' },
  held: { life: 'manufactured', held: 'true' },
  unassigned: { life: 'manufactured', state: 'unassigned', held: 'false' },
};

/** Which colour a condition has in bars and plots. */
export const conditionFills: Readonly<Record<Condition, string>> = {
  assigned: 'f-assigned',
  assigning: 'f-assigned',
  waiting: 'f-waiting',
  overdue: 'f-attention',
  failed: 'f-failed',
  disabled: 'f-held',
  held: 'f-held',
  unassigned: 'f-waiting',
};

export const lifeNames: Readonly<Record<string, string>> = {
  unknown: 'Known to DPS only',
  expected: 'Not defined yet',
  manufactured: 'Manufactured',
  scrapped: 'Scrapped',
  started: 'Started',
  recalled: 'Recalled',
  retired: 'Retired',
};

export const eventNames: Readonly<Record<string, string>> = {
  'device.manufactured': 'Manufactured',
  'device.changed': 'Changed',
  'device.held': 'Held',
  'device.released': 'Released',
  'device.returned': 'Returned',
  'device.scrapped': 'Scrapped',
  'batch.started': 'Batch started',
  'batch.held': 'Batch held',
  'batch.released': 'Batch released',
  'batch.recalled': 'Batch recalled',
  'batch.retired': 'Batch retired',
  'credentials.handed-out': 'Credentials handed out',
};

export function eventName(type: string): string {
  return eventNames[type.split('.').slice(-2).join('.')] ?? type;
}

export const statusNames: Readonly<Record<string, string>> = {
  accepted: 'Waits in the queue',
  processing: 'Being applied',
  retrying: 'Waits for DPS',
  succeeded: 'Done',
  superseded: 'Overtaken by a newer event',
  rejected: 'Rejected',
};

export function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
