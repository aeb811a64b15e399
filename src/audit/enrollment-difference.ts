import { isStoredAs } from '../dps/enrollment-equality.ts';
import type { AttestationMechanism } from '../dps/models.ts';
import type { DesiredState } from '../enrollment/ledger/desired-state.ts';
import type { StoredEnrollment } from './certificate-findings.ts';
import type { Finding } from './finding.ts';

/** How what DPS holds is other than it should be; symmetric keys, which queries do not show, are not compared. */
export function enrollmentDiffers(
  id: string,
  desired: DesiredState,
  stored: StoredEnrollment,
): Finding | undefined {
  const detail = detailOf(desired, stored);
  return detail === undefined
    ? undefined
    : { severity: 'warning', code: 'enrollment-differs', subject: id, detail };
}

function detailOf(desired: DesiredState, stored: StoredEnrollment): string | undefined {
  switch (desired.kind) {
    case 'enrollment':
      return differing(
        'individual enrollment',
        differingMembers(desired.enrollment, stored),
        'device.changed with what the device is',
      );
    case 'group':
      return differing(
        'enrollment group',
        differingMembers(desired.group, stored),
        'batch.started with what the batch is',
      );
    case 'blocked':
      return differing(
        'individual enrollment that keeps the device out of its group',
        unblockingMembers(desired.leafCertificate, stored),
        'device.held, or device.scrapped,',
      );
    case 'member':
      return 'DPS has an individual enrollment for a device that belongs to a group. DPS looks there first, so it decides instead of the group, and no event asked for it: somebody made it by hand. Delete it in DPS; or, if the device is to be kept out, send device.held.';
    case 'no-enrollment':
      return 'DPS has an enrollment again for a device that was scrapped: somebody made it by hand, and the device may come back with it. Send device.scrapped under a new id to have it deleted, or device.manufactured with remanufactured true if it was built anew.';
    case 'no-group':
      return 'DPS has an enrollment group again for a batch that was retired: somebody made it by hand. Send batch.retired under a new id to have it deleted.';
    default:
      return undefined;
  }
}

function differing(what: string, members: readonly string[], event: string): string | undefined {
  if (members.length === 0) {
    return undefined;
  }
  return `The ${what} is not as the events and the profile say: ${members.join(', ')}. Somebody changed it in DPS by hand, or the profile was changed since. Send ${event} under a new id to have it written anew; or, if DPS is right, say the same in the event or the profile.`;
}

/** By name alone: values may hold what is nobody's business. The equality is the reconciler's, a member at a time. */
export function differingMembers(wanted: StoredEnrollment, stored: StoredEnrollment): string[] {
  const names = new Set([...Object.keys(wanted), ...Object.keys(stored)]);
  const values = wanted as unknown as Record<string, unknown>;
  return [...names]
    .filter((name) => !isStoredAs({ ...stored, [name]: values[name] ?? absent(name, stored) }, stored))
    .map((name) => (name === 'provisioningStatus' ? statusDifference(wanted, stored) : name));
}

/** An id is never absent, and there is no attestation that it would be the same to leave out. */
function absent(name: string, stored: StoredEnrollment): unknown {
  return name === 'registrationId' || name === 'enrollmentGroupId'
    ? (stored as unknown as Record<string, unknown>)[name]
    : undefined;
}

/** What counts of it is that it keeps the device out; where DPS refused the leaf certificate, a key does. */
function unblockingMembers(leaf: string | undefined, stored: StoredEnrollment): string[] {
  const members: string[] = [];
  if (stored.provisioningStatus !== 'disabled') {
    members.push('provisioningStatus (enabled, not disabled)');
  }
  const { attestation } = stored;
  if (attestation.type === 'symmetricKey') {
    return members;
  }
  const wanted: AttestationMechanism | undefined =
    leaf === undefined || attestation.type !== 'x509'
      ? undefined
      : {
          type: 'x509',
          x509: {
            clientCertificates: {
              ...attestation.x509.clientCertificates,
              primary: { certificate: leaf },
            },
          },
        };
  if (!wanted || !isStoredAs({ ...stored, attestation: wanted }, stored)) {
    members.push('attestation');
  }
  return members;
}

function statusDifference(wanted: StoredEnrollment, stored: StoredEnrollment): string {
  return `provisioningStatus (${stored.provisioningStatus ?? 'enabled'}, not ${wanted.provisioningStatus ?? 'enabled'})`;
}
