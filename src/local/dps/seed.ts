import { setImmediate } from 'node:timers/promises';
import type { SeedBody } from './control-input.ts';
import { type EnrollmentKind, groupKind, individualKind } from './enrollment-kinds.ts';
import { type WriteContext, writeEnrollment } from './enrollment-writes.ts';
import { ServiceError } from './errors.ts';
import { maxRegistrations } from './limits.ts';

/** How many records are made before other requests get their turn. */
const slice = 1_000;

const typical = {
  attestation: { type: 'symmetricKey' },
  initialTwin: {
    tags: { plant: 'brno', product: 'thermostat-g2' },
    properties: { desired: { interval: 30 } },
  },
  provisioningStatus: 'enabled',
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
  allocationPolicy: 'hashed',
};

/**
 * Makes many records at once: groups `seed-group-0`, … with registrations `seed-0-0`, …, and individual enrollments
 * `seed-device-0`, …, with symmetric keys. What is there already is left alone.
 * @throws ServiceError `limitReached`
 */
export async function seed(
  { groups, registrationsPerGroup, individualEnrollments }: SeedBody,
  context: WriteContext,
): Promise<void> {
  for (let group = 0; group < groups; group += 1) {
    const groupId = `seed-group-${group}`;
    seedEnrollment(groupKind, groupId, context);
    for (let device = 0; device < registrationsPerGroup; device += 1) {
      seedRegistration(`seed-${group}-${device}`, groupId, context);
      if (device % slice === slice - 1) {
        await setImmediate();
      }
    }
  }
  for (let device = 0; device < individualEnrollments; device += 1) {
    seedEnrollment(individualKind, `seed-device-${device}`, context);
    if (device % slice === slice - 1) {
      await setImmediate();
    }
  }
}

function seedEnrollment(kind: EnrollmentKind, id: string, context: WriteContext): void {
  if (context.state.enrollments(kind).get(id) !== undefined) {
    return;
  }
  const own = kind === individualKind ? { deviceId: id } : {};
  writeEnrollment(kind, { [kind.idMember]: id, ...own, ...typical }, id, undefined, context);
}

function seedRegistration(registrationId: string, groupKey: string, context: WriteContext): void {
  const { state } = context;
  if (state.registrations.get(registrationId) !== undefined) {
    return;
  }
  if (state.registrations.size >= maxRegistrations) {
    throw new ServiceError('limitReached');
  }
  const stamp = context.timestamp();
  state.commit({
    put: 'registration',
    registration: {
      key: registrationId,
      sequence: state.nextSequence(),
      registrationId,
      groupKey,
      createdDateTimeUtc: stamp,
      lastUpdatedDateTimeUtc: stamp,
      etag: context.newEtag(),
      status: 'assigned',
      substatus: 'initialAssignment',
      assignedHub: state.configuration.hubs[0]?.hostName,
      deviceId: registrationId,
      errorCode: undefined,
      errorMessage: undefined,
      payload: undefined,
    },
  });
}
