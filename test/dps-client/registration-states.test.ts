import { describe, expect, it } from 'vitest';
import { deriveDeviceKey } from '../../src/dps/device-key.ts';
import { NotFoundError, PreconditionFailedError } from '../../src/dps/errors.ts';
import { useEmulator } from './emulator.ts';

const emulator = useEmulator();

describe('A registration state', () => {
  it('is there once the device has registered, and gone once it is deleted', async () => {
    await using client = emulator.current.client();
    const { attestation } = await client.individualEnrollments.createOrUpdate({
      registrationId: 'dev-1',
      attestation: { type: 'symmetricKey' },
    });
    await expect(client.deviceRegistrationStates.get('dev-1')).rejects.toThrow(NotFoundError);
    await emulator.current.registerDevice('dev-1', attestation.symmetricKey!.primaryKey!);
    const state = await client.deviceRegistrationStates.get('dev-1');
    expect(state).toMatchObject({
      registrationId: 'dev-1',
      status: 'assigned',
      assignedHub: 'hub.azure-devices.net',
    });
    expect((await client.individualEnrollments.get('dev-1')).registrationState).toMatchObject({
      status: 'assigned',
    });
    const stale = `${Buffer.from('"00000000-0000-0000-0000-000000000000"').toString('base64')}`;
    await expect(client.deviceRegistrationStates.delete('dev-1', { ifMatch: stale })).rejects.toThrow(
      PreconditionFailedError,
    );
    await client.deviceRegistrationStates.delete(state, { onlyIfUnchanged: true });
    await expect(client.deviceRegistrationStates.get('dev-1')).rejects.toThrow(NotFoundError);
    await expect(client.deviceRegistrationStates.delete('dev-1')).rejects.toThrow(NotFoundError);
  });

  it('that changed since it was read is not deleted as unchanged', async () => {
    await using client = emulator.current.client();
    const { attestation } = await client.individualEnrollments.createOrUpdate({
      registrationId: 'dev-1',
      attestation: { type: 'symmetricKey' },
    });
    await emulator.current.registerDevice('dev-1', attestation.symmetricKey!.primaryKey!);
    const before = await client.deviceRegistrationStates.get('dev-1');
    await emulator.current.registerDevice('dev-1', attestation.symmetricKey!.primaryKey!);
    const call = client.deviceRegistrationStates.delete(before, { onlyIfUnchanged: true });
    await expect(call).rejects.toThrow(PreconditionFailedError);
    await client.deviceRegistrationStates.delete('dev-1', { ifMatch: '*' });
  });

  it('of each device of a group is found by the group, page by page', async () => {
    await using client = emulator.current.client();
    const { attestation } = await client.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'batch-1',
      attestation: { type: 'symmetricKey' },
    });
    const ids = ['dev-1', 'dev-2', 'dev-3'];
    for (const id of ids) {
      await emulator.current.registerDevice(id, deriveDeviceKey(attestation.symmetricKey!.primaryKey!, id));
    }
    const found = [];
    for await (const { registrationId } of client.deviceRegistrationStates.query('batch-1')) {
      found.push(registrationId);
    }
    expect(found.sort()).toEqual(ids);
    const sizes = [];
    for await (const page of client.deviceRegistrationStates.query('batch-1').byPage({ maxPageSize: 2 })) {
      sizes.push(page.length);
    }
    expect(sizes).toEqual([2, 1]);
  });
});
