import { describe, expect, it } from 'vitest';
import { AlreadyExistsError, NotFoundError, PreconditionFailedError } from '../../src/dps/errors.ts';
import type { EnrollmentGroup, IndividualEnrollment } from '../../src/dps/models.ts';
import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { makeCertificate } from './certificates.ts';
import { useEmulator } from './emulator.ts';

const emulator = useEmulator();

const full: IndividualEnrollment = {
  registrationId: 'dev-1',
  deviceId: 'my-device',
  attestation: { type: 'tpm', tpm: { endorsementKey: endorsementKeyOf(7) } },
  optionalDeviceInformation: { color: 'white' },
  capabilities: { iotEdge: true },
  initialTwin: { tags: { plant: 'brno', version: 7 }, properties: { desired: { interval: 30 } } },
  provisioningStatus: 'disabled',
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
  allocationPolicy: 'custom',
  iotHubs: ['hub.azure-devices.net'],
  customAllocationDefinition: { webhookUrl: 'https://example.com/?code=x', apiVersion: '2021-10-01' },
};

function device(registrationId: string): IndividualEnrollment {
  return { registrationId, attestation: { type: 'symmetricKey' } };
}

function group(enrollmentGroupId: string): EnrollmentGroup {
  return { enrollmentGroupId, attestation: { type: 'symmetricKey' } };
}

describe('An individual enrollment', () => {
  it('comes back as it was created, with all of its members', async () => {
    await using client = emulator.current.client();
    const created = await client.individualEnrollments.createOrUpdate(full);
    expect(created).toMatchObject(full);
    expect(created.etag).toBeTruthy();
    const read = await client.individualEnrollments.get('dev-1');
    expect(read).toMatchObject({ ...full, registrationState: { status: 'unassigned' }, etag: created.etag });
  });

  it('gets keys from the service, and shows them on creation and as attestation mechanism only', async () => {
    await using client = emulator.current.client();
    const { attestation } = await client.individualEnrollments.createOrUpdate(device('dev-1'));
    expect(attestation.symmetricKey?.primaryKey).toHaveLength(88);
    expect((await client.individualEnrollments.get('dev-1')).attestation).toEqual({ type: 'symmetricKey' });
    expect(await client.individualEnrollments.getAttestationMechanism('dev-1')).toEqual(attestation);
  });

  it('can have a certificate, of which the service keeps the description', async () => {
    await using client = emulator.current.client();
    const { pem } = await makeCertificate();
    const created = await client.individualEnrollments.createOrUpdate({
      registrationId: 'dev-1',
      attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: pem } } } },
    });
    expect(created.attestation.x509?.clientCertificates?.primary?.info?.subjectName).toBe('CN=dev-1');
  });

  it('can name a credential policy in the preview version', async () => {
    await using client = emulator.current.client({ serviceVersion: '2025-07-01-preview' });
    const created = await client.individualEnrollments.createOrUpdate({
      ...full,
      credentialPolicyName: 'factory',
    });
    expect(created.credentialPolicyName).toBe('factory');
    expect((await client.individualEnrollments.get('dev-1')).credentialPolicyName).toBe('factory');
  });

  it('is only created without ifMatch', async () => {
    await using client = emulator.current.client();
    await client.individualEnrollments.createOrUpdate(device('dev-1'));
    await expect(client.individualEnrollments.createOrUpdate(device('DEV-1'))).rejects.toThrow(
      AlreadyExistsError,
    );
  });

  it('is replaced on condition of its etag, of any version, or of the object that was read', async () => {
    await using client = emulator.current.client();
    const first = await client.individualEnrollments.createOrUpdate(full);
    const second = await client.individualEnrollments.createOrUpdate(
      { ...full, deviceId: 'two' },
      { ifMatch: first.etag },
    );
    const third = await client.individualEnrollments.createOrUpdate(
      { ...second, deviceId: 'three' },
      { onlyIfUnchanged: true },
    );
    const fourth = await client.individualEnrollments.createOrUpdate(
      { ...full, deviceId: 'four' },
      { ifMatch: '*' },
    );
    expect(new Set([first.etag, second.etag, third.etag, fourth.etag]).size).toBe(4);
    const late = client.individualEnrollments.createOrUpdate(
      { ...third, deviceId: 'five' },
      { onlyIfUnchanged: true },
    );
    await expect(late).rejects.toThrow(PreconditionFailedError);
    expect(await client.individualEnrollments.get('dev-1')).toMatchObject({ deviceId: 'four' });
  });

  it('that was not read cannot be said to be unchanged', async () => {
    await using client = emulator.current.client();
    const { individualEnrollments } = client;
    await expect(individualEnrollments.createOrUpdate(full, { onlyIfUnchanged: true })).rejects.toThrow(
      /etag/,
    );
    await expect(individualEnrollments.delete('dev-1', { onlyIfUnchanged: true })).rejects.toThrow(/etag/);
  });

  it('is deleted by id, on condition of its etag, or as it was read', async () => {
    await using client = emulator.current.client();
    const { individualEnrollments } = client;
    await individualEnrollments.createOrUpdate(full);
    await individualEnrollments.delete('dev-1');
    await expect(individualEnrollments.get('dev-1')).rejects.toThrow(NotFoundError);
    await expect(individualEnrollments.delete('dev-1')).rejects.toThrow(NotFoundError);
    const before = await individualEnrollments.createOrUpdate(full);
    const after = await individualEnrollments.createOrUpdate(full, { ifMatch: '*' });
    await expect(individualEnrollments.delete('dev-1', { ifMatch: before.etag })).rejects.toThrow(
      PreconditionFailedError,
    );
    await expect(individualEnrollments.delete(before, { onlyIfUnchanged: true })).rejects.toThrow(
      PreconditionFailedError,
    );
    await individualEnrollments.delete(after, { onlyIfUnchanged: true });
    await expect(individualEnrollments.get('dev-1')).rejects.toThrow(NotFoundError);
  });
});

describe('An enrollment group', () => {
  it('is created, read, replaced and deleted', async () => {
    await using client = emulator.current.client();
    const { enrollmentGroups } = client;
    const created = await enrollmentGroups.createOrUpdate({
      ...group('batch-1'),
      initialTwin: { tags: { a: 1 } },
    });
    expect(await enrollmentGroups.get('batch-1')).toMatchObject({
      initialTwin: { tags: { a: 1 } },
      etag: created.etag,
    });
    expect(await enrollmentGroups.getAttestationMechanism('batch-1')).toEqual(created.attestation);
    await expect(enrollmentGroups.createOrUpdate(group('batch-1'))).rejects.toThrow(AlreadyExistsError);
    const held = await enrollmentGroups.createOrUpdate(
      { ...created, provisioningStatus: 'disabled' },
      { onlyIfUnchanged: true },
    );
    expect(held).toMatchObject({ provisioningStatus: 'disabled', attestation: created.attestation });
    await expect(enrollmentGroups.delete('batch-1', { ifMatch: created.etag })).rejects.toThrow(
      PreconditionFailedError,
    );
    await enrollmentGroups.delete(held, { onlyIfUnchanged: true });
    await expect(enrollmentGroups.get('batch-1')).rejects.toThrow(NotFoundError);
    await expect(enrollmentGroups.getAttestationMechanism('batch-1')).rejects.toThrow(NotFoundError);
  });

  it('can have a signing certificate, or a reference to a CA certificate of the instance', async () => {
    await using client = emulator.current.client();
    const { pem } = await makeCertificate({ name: 'CN=factory', ca: true });
    const signed = await client.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'signed',
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: pem } } } },
    });
    expect(signed.attestation.x509?.signingCertificates?.primary?.info?.subjectName).toBe('CN=factory');
    await fetch(`${emulator.current.endpoint}/_emulator/certificates/factory-ca`, {
      method: 'PUT',
      body: pem,
    });
    const attestation = { type: 'x509' as const, x509: { caReferences: { primary: 'factory-ca' } } };
    const referring = await client.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'referring',
      attestation,
    });
    expect(referring.attestation).toEqual(attestation);
  });
});

describe('A query', () => {
  it('finds individual enrollments and groups one by one', async () => {
    await using client = emulator.current.client();
    const ids = ['a', 'b', 'c'];
    await Promise.all(ids.map((id) => client.individualEnrollments.createOrUpdate(device(id))));
    await Promise.all(ids.map((id) => client.enrollmentGroups.createOrUpdate(group(id))));
    const devices = [];
    for await (const { registrationId } of client.individualEnrollments.query()) {
      devices.push(registrationId);
    }
    const groups = [];
    for await (const { enrollmentGroupId } of client.enrollmentGroups.query(
      'SELECT * FROM enrollmentGroups',
    )) {
      groups.push(enrollmentGroupId);
    }
    expect(devices.sort()).toEqual(ids);
    expect(groups.sort()).toEqual(ids);
  });

  it('comes in pages of the size that is asked for, and goes on from a continuation token', async () => {
    await emulator.current.control('POST', '/seed', {
      groups: 0,
      registrationsPerGroup: 0,
      individualEnrollments: 150,
    });
    await using client = emulator.current.client();
    const sizes = [];
    const seen = new Set<string>();
    let middle: string | undefined;
    for await (const page of client.individualEnrollments.query().byPage({ maxPageSize: 60 })) {
      sizes.push(page.length);
      middle ??= page.continuationToken;
      for (const { registrationId } of page) {
        seen.add(registrationId);
      }
    }
    expect(sizes).toEqual([60, 60, 30]);
    expect(seen.size).toBe(150);
    const rest = [];
    for await (const page of client.individualEnrollments.query().byPage({ continuationToken: middle! })) {
      rest.push(page.length);
    }
    expect(rest).toEqual([90]);
    let count = 0;
    for await (const _ of client.individualEnrollments.query()) {
      count += 1;
    }
    expect(count).toBe(150);
  });

  it('fetches no page before it is asked for, and none after the caller has left', async () => {
    await emulator.current.control('POST', '/seed', {
      groups: 0,
      registrationsPerGroup: 0,
      individualEnrollments: 250,
    });
    await using client = emulator.current.client();
    const query = client.individualEnrollments.query();
    expect(await emulator.current.answers('IndividualEnrollment_Query')).toEqual({});
    for await (const _ of query) {
      break;
    }
    expect(await emulator.current.answers('IndividualEnrollment_Query')).toEqual({ 200: 1 });
  });

  it('that DPS does not know is an invalid request', async () => {
    await using client = emulator.current.client();
    await expect(client.individualEnrollments.query('DROP TABLE').next()).rejects.toMatchObject({
      name: 'InvalidRequestError',
      statusCode: 400,
    });
  });
});

describe('A bulk operation', () => {
  it('creates, and tells which items it could not create', async () => {
    await using client = emulator.current.client();
    await client.individualEnrollments.createOrUpdate(device('b'));
    const result = await client.individualEnrollments.runBulkOperation({
      mode: 'create',
      enrollments: [device('a'), device('b'), device('c')],
    });
    expect(result).toEqual({
      isSuccessful: false,
      errors: [{ registrationId: 'b', errorCode: 409201, errorStatus: 'Enrollment already exists.' }],
    });
    expect((await client.individualEnrollments.get('c')).registrationId).toBe('c');
  });

  it('updates by etag, and deletes by id, enrollments and groups', async () => {
    await using client = emulator.current.client();
    const { individualEnrollments, enrollmentGroups } = client;
    const created = await individualEnrollments.createOrUpdate(device('a'));
    const enrollments = [{ ...created, deviceId: 'renamed' }];
    const updated = await individualEnrollments.runBulkOperation({ mode: 'updateIfMatchETag', enrollments });
    expect(updated).toEqual({ isSuccessful: true, errors: [] });
    const again = await individualEnrollments.runBulkOperation({ mode: 'updateIfMatchETag', enrollments });
    expect(again).toMatchObject({ isSuccessful: false, errors: [{ registrationId: 'a' }] });
    const any = [{ ...created, etag: '*', deviceId: 'renamed-again' }];
    expect(
      (await individualEnrollments.runBulkOperation({ mode: 'update', enrollments: any })).isSuccessful,
    ).toBe(true);
    const gone = await individualEnrollments.runBulkOperation({
      mode: 'delete',
      enrollments: [{ registrationId: 'a' }],
    });
    expect(gone.isSuccessful).toBe(true);

    const groups = [group('g-1'), group('g-2')];
    const made = await enrollmentGroups.runBulkOperation({ mode: 'create', enrollmentGroups: groups });
    expect(made.isSuccessful).toBe(true);
    const twice = await enrollmentGroups.runBulkOperation({ mode: 'create', enrollmentGroups: groups });
    expect(twice.errors).toEqual(
      ['g-1', 'g-2'].map((enrollmentGroupId) => ({
        enrollmentGroupId,
        errorCode: 409202,
        errorStatus: 'EnrollmentGroup already exists.',
      })),
    );
    const removed = await enrollmentGroups.runBulkOperation({
      mode: 'delete',
      enrollmentGroups: [
        { enrollmentGroupId: 'g-1' },
        { enrollmentGroupId: 'g-2' },
        { enrollmentGroupId: 'g-3' },
      ],
    });
    expect(removed.errors.map(({ enrollmentGroupId }) => enrollmentGroupId)).toEqual(['g-3']);
  });

  it('with an update that has no etag is not sent, as DPS would take it for a creation', async () => {
    await using client = emulator.current.client();
    for (const mode of ['update', 'updateIfMatchETag'] as const) {
      const call = client.individualEnrollments.runBulkOperation({ mode, enrollments: [device('a')] });
      await expect(call).rejects.toThrow(/"a" has no etag/);
    }
    expect(await emulator.current.answers('IndividualEnrollment_RunBulkOperation')).toEqual({});
  });

  it('of nothing sends nothing, and one of eleven is not sent either', async () => {
    await using client = emulator.current.client();
    const nothing = await client.enrollmentGroups.runBulkOperation({ mode: 'create', enrollmentGroups: [] });
    expect(nothing).toEqual({ isSuccessful: true, errors: [] });
    const eleven = Array.from({ length: 11 }, (_, i) => group(`g-${i}`));
    const call = client.enrollmentGroups.runBulkOperation({ mode: 'create', enrollmentGroups: eleven });
    await expect(call).rejects.toThrow(/createMany/);
    expect(await emulator.current.answers('EnrollmentGroup_RunBulkOperation')).toEqual({});
  });
});
