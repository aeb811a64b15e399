import { describe, expect, it } from 'vitest';
import {
  AlreadyExistsError,
  ForbiddenError,
  NotFoundError,
  PreconditionFailedError,
  UnavailableError,
} from '../../src/dps/errors.ts';
import type { IndividualEnrollment } from '../../src/dps/models.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { CapturedClock } from './captured-clock.ts';
import { makeCertificate } from './certificates.ts';
import { useEmulator } from './emulator.ts';
import { hangUp, ScriptedService } from './scripted-service.ts';

const emulator = useEmulator();
const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');

function client() {
  return emulator.current.client({ clock: new CapturedClock() });
}

/** The answer to the next such operation is lost, after it was carried out. */
function loseAnswer(operation: string): Promise<unknown> {
  return emulator.current.faults({ operation, reset: 'after', count: 1 });
}

const device: IndividualEnrollment = {
  registrationId: 'dev-1',
  attestation: { type: 'symmetricKey' },
  initialTwin: { tags: { plant: 'brno' } },
};

describe('A creation whose answer was lost', () => {
  it('is recognised when it is repeated, and answers as the lost one would have, with keys', async () => {
    await using dps = client();
    await loseAnswer('IndividualEnrollment_CreateOrUpdate');
    const created = await dps.individualEnrollments.createOrUpdate(device);
    expect(await emulator.current.answers('IndividualEnrollment_CreateOrUpdate')).toMatchObject({ 409: 1 });
    expect(created).toMatchObject(device);
    expect(created.etag).toBe((await dps.individualEnrollments.get('dev-1')).etag);
    expect(created.attestation).toEqual(await dps.individualEnrollments.getAttestationMechanism('dev-1'));
  });

  it('is recognised with every kind of attestation', async () => {
    await using dps = client();
    const { pem, certificate } = await makeCertificate();
    const der = Buffer.from(certificate.rawData).toString('base64');
    const attestations: IndividualEnrollment['attestation'][] = [
      { type: 'symmetricKey', symmetricKey: { primaryKey: key(1), secondaryKey: key(2) } },
      { type: 'tpm', tpm: { endorsementKey: endorsementKeyOf(3) } },
      { type: 'x509', x509: { clientCertificates: { primary: { certificate: pem } } } },
      {
        type: 'x509',
        x509: { clientCertificates: { primary: { certificate: der }, secondary: { certificate: pem } } },
      },
    ];
    for (const attestation of attestations) {
      await loseAnswer('IndividualEnrollment_CreateOrUpdate');
      await dps.individualEnrollments.createOrUpdate({ ...device, attestation });
      await dps.individualEnrollments.delete('dev-1');
    }
  });

  it.each(['garbage', 'truncated'] as const)('is recognised, too, if the answer came %s', async (body) => {
    await using dps = client();
    await emulator.current.faults({ operation: 'IndividualEnrollment_CreateOrUpdate', body, count: 1 });
    expect(await dps.individualEnrollments.createOrUpdate(device)).toMatchObject(device);
    expect(await emulator.current.answers('IndividualEnrollment_CreateOrUpdate')).toMatchObject({ 409: 1 });
  });

  it('of a group is recognised, too', async () => {
    await using dps = client();
    await loseAnswer('EnrollmentGroup_CreateOrUpdate');
    const group = {
      enrollmentGroupId: 'g',
      attestation: device.attestation,
      provisioningStatus: 'disabled' as const,
    };
    expect(await dps.enrollmentGroups.createOrUpdate(group)).toMatchObject(group);
  });

  it.each<[string, Partial<IndividualEnrollment>]>([
    ['another twin', { initialTwin: { tags: { plant: 'graz' } } }],
    [
      'another key',
      { attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key(9), secondaryKey: key(2) } } },
    ],
    ['another attestation', { attestation: { type: 'tpm', tpm: { endorsementKey: endorsementKeyOf(3) } } }],
    ['another member', { iotHubs: ['hub.azure-devices.net'] }],
  ])('is a conflict if the id had been taken by %s', async (_name, difference) => {
    await using dps = client();
    await dps.individualEnrollments.createOrUpdate({ ...device, ...difference });
    await emulator.current.faults({
      operation: 'IndividualEnrollment_CreateOrUpdate',
      reset: 'before',
      count: 1,
    });
    const attestation = {
      type: 'symmetricKey' as const,
      symmetricKey: { primaryKey: key(1), secondaryKey: key(2) },
    };
    const call = dps.individualEnrollments.createOrUpdate({ ...device, attestation });
    await expect(call).rejects.toThrow(AlreadyExistsError);
  });

  it('is a conflict, equal or not, if no answer was lost, or the first was a 429', async () => {
    await using dps = client();
    await dps.individualEnrollments.createOrUpdate(device);
    await expect(dps.individualEnrollments.createOrUpdate(device)).rejects.toThrow(AlreadyExistsError);
    await emulator.current.faults({
      operation: 'IndividualEnrollment_CreateOrUpdate',
      status: 429,
      count: 1,
    });
    await expect(dps.individualEnrollments.createOrUpdate(device)).rejects.toThrow(AlreadyExistsError);
  });

  it('is unavailable, not a conflict, while it cannot be read back', async () => {
    await emulator.current.faults(
      { operation: 'IndividualEnrollment_CreateOrUpdate', reset: 'after', count: 1 },
      { operation: 'IndividualEnrollment_Get', status: 503 },
    );
    await using dps = client();
    await expect(dps.individualEnrollments.createOrUpdate(device)).rejects.toThrow(UnavailableError);
  });
});

describe('A status that may hide a success', () => {
  const attestation = { type: 'tpm' as const, tpm: { endorsementKey: endorsementKeyOf(3) } };
  const sent = { registrationId: 'dev-1', attestation };
  const conflict = { status: 409, body: { errorCode: 409201, message: 'Enrollment already exists.' } };
  const stored = { status: 200, body: { ...sent, etag: 'x' } };

  it.each([408, 500, 502, 503, 504])('lets the repeated creation be recognised: %i', async (status) => {
    await using service = await ScriptedService.start({ status, body: {} }, conflict, stored);
    await using dps = service.client({ clock: new CapturedClock() });
    expect(await dps.individualEnrollments.createOrUpdate(sent)).toEqual(stored.body);
  });

  it('is not 429: then nothing was carried out', async () => {
    await using service = await ScriptedService.start({ status: 429, body: {} }, conflict, stored);
    await using dps = service.client({ clock: new CapturedClock() });
    await expect(dps.individualEnrollments.createOrUpdate(sent)).rejects.toThrow(AlreadyExistsError);
  });

  it('does not turn another refusal, or a record that is gone again, into success', async () => {
    await using forbidding = await ScriptedService.start(
      { status: 503, body: {} },
      { status: 403, body: {} },
    );
    await using refused = forbidding.client({ clock: new CapturedClock() });
    await expect(refused.individualEnrollments.createOrUpdate(sent)).rejects.toThrow(ForbiddenError);
    const gone = { status: 404, body: {} };
    await using forgetting = await ScriptedService.start({ status: 503, body: {} }, conflict, gone);
    await using dps = forgetting.client({ clock: new CapturedClock() });
    await expect(dps.individualEnrollments.createOrUpdate(sent)).rejects.toThrow(AlreadyExistsError);
  });

  it('is remembered over a later one that is not', async () => {
    const throttled = { status: 429, body: {} };
    await using service = await ScriptedService.start({ status: 503, body: {} }, throttled, conflict, stored);
    await using dps = service.client({ clock: new CapturedClock() });
    expect(await dps.individualEnrollments.createOrUpdate(sent)).toEqual(stored.body);
  });
});

describe('An update whose answer was lost', () => {
  it('is recognised when it is repeated', async () => {
    await using dps = client();
    const { etag, attestation } = await dps.individualEnrollments.createOrUpdate(device);
    await loseAnswer('IndividualEnrollment_CreateOrUpdate');
    const changed = { ...device, attestation, deviceId: 'renamed' };
    const updated = await dps.individualEnrollments.createOrUpdate(changed, { ifMatch: etag });
    expect(updated).toMatchObject({ deviceId: 'renamed', attestation });
    expect(updated.etag).not.toBe(etag);
  });

  it('is a failed precondition if somebody else was faster', async () => {
    await using dps = client();
    const { etag } = await dps.individualEnrollments.createOrUpdate(device);
    await dps.individualEnrollments.createOrUpdate({ ...device, deviceId: 'theirs' }, { ifMatch: '*' });
    await emulator.current.faults({
      operation: 'IndividualEnrollment_CreateOrUpdate',
      reset: 'before',
      count: 1,
    });
    const call = dps.individualEnrollments.createOrUpdate({ ...device, deviceId: 'ours' }, { ifMatch: etag });
    await expect(call).rejects.toThrow(PreconditionFailedError);
  });
});

describe('A deletion whose answer was lost', () => {
  it('is done, whatever was deleted', async () => {
    await using dps = client();
    const { attestation } = await dps.individualEnrollments.createOrUpdate(device);
    await emulator.current.registerDevice('dev-1', attestation.symmetricKey!.primaryKey!);
    await loseAnswer('DeviceRegistrationState_Delete');
    await dps.deviceRegistrationStates.delete('dev-1');
    await loseAnswer('IndividualEnrollment_Delete');
    await dps.individualEnrollments.delete('dev-1');
    await expect(dps.individualEnrollments.get('dev-1')).rejects.toThrow(NotFoundError);
  });
});

describe('A bulk operation whose answer was lost', () => {
  const items = ['a', 'b', 'c'].map((registrationId) => ({ ...device, registrationId }));

  it('of creations tells only what had really been there before', async () => {
    await using dps = client();
    await dps.individualEnrollments.createOrUpdate({ ...device, registrationId: 'b', deviceId: 'other' });
    await loseAnswer('IndividualEnrollment_RunBulkOperation');
    const result = await dps.individualEnrollments.runBulkOperation({ mode: 'create', enrollments: items });
    expect(result).toEqual({
      isSuccessful: false,
      errors: [{ registrationId: 'b', errorCode: 409201, errorStatus: 'Enrollment already exists.' }],
    });
  });

  it('of updates by etag is recognised item by item', async () => {
    await using dps = client();
    const stored = await Promise.all(items.map((item) => dps.individualEnrollments.createOrUpdate(item)));
    await loseAnswer('IndividualEnrollment_RunBulkOperation');
    const enrollments = stored.map((item) => ({ ...item, deviceId: 'renamed' }));
    const result = await dps.individualEnrollments.runBulkOperation({
      mode: 'updateIfMatchETag',
      enrollments,
    });
    expect(result).toEqual({ isSuccessful: true, errors: [] });
  });

  it('still tells of items that DPS cannot take', async () => {
    await using dps = client();
    await loseAnswer('IndividualEnrollment_RunBulkOperation');
    const enrollments = [items[0]!, { ...items[1]!, deviceId: 'no device id' }];
    const result = await dps.individualEnrollments.runBulkOperation({ mode: 'create', enrollments });
    expect(result).toMatchObject({
      isSuccessful: false,
      errors: [{ registrationId: 'b', errorCode: 400004 }],
    });
  });

  it('of deletions is done', async () => {
    await using dps = client();
    await dps.individualEnrollments.createMany(items);
    await loseAnswer('IndividualEnrollment_RunBulkOperation');
    const result = await dps.individualEnrollments.runBulkOperation({ mode: 'delete', enrollments: items });
    expect(result).toEqual({ isSuccessful: true, errors: [] });
  });

  it('that was not carried out is carried out', async () => {
    await using dps = client();
    await emulator.current.faults({ operation: '*_RunBulkOperation', reset: 'before', count: 2 });
    const result = await dps.individualEnrollments.runBulkOperation({ mode: 'create', enrollments: items });
    expect(result.isSuccessful).toBe(true);
  });
});

describe('What is stored after a lost answer', () => {
  it('may have been made null-less and ordered anew by the service', async () => {
    const sent = {
      ...device,
      attestation: { type: 'tpm' as const, tpm: { endorsementKey: 'AAAA', storageRootKey: '' } },
      reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
      initialTwin: { tags: { a: [1, { b: null }], c: {} } },
    };
    const stored = {
      initialTwin: { tags: { c: {}, a: [1, { b: null }] } },
      attestation: { tpm: { endorsementKey: 'AAAA' }, type: 'tpm' },
      registrationId: 'DEV-1',
      etag: 'x',
      provisioningStatus: null,
    };
    await using service = await ScriptedService.start(
      hangUp,
      { status: 409, body: {} },
      { status: 200, body: stored },
    );
    await using dps = service.client({ clock: new CapturedClock() });
    expect(await dps.individualEnrollments.createOrUpdate(sent)).toEqual(stored);
  });
});
