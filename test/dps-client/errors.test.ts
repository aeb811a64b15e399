import { describe, expect, it } from 'vitest';
import type { DeviceProvisioningClient } from '../../src/dps/client.ts';
import {
  AlreadyExistsError,
  DeviceProvisioningError,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  PreconditionFailedError,
  ThrottledError,
  UnauthorizedError,
  UnavailableError,
} from '../../src/dps/errors.ts';
import { useEmulator } from './emulator.ts';

const emulator = useEmulator();
const once = { retryOptions: { maxRetries: 0 } };

async function failure(call: Promise<unknown>): Promise<DeviceProvisioningError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DeviceProvisioningError);
  return error as DeviceProvisioningError;
}

function create(client: DeviceProvisioningClient, ifMatch?: string) {
  const group = { enrollmentGroupId: 'g', attestation: { type: 'symmetricKey' as const } };
  return client.enrollmentGroups.createOrUpdate(group, { ifMatch });
}

describe('Errors', () => {
  it('of the service say what happened, what it means and what to do, with code and tracking id', async () => {
    await using client = emulator.current.client(once);
    const error = await failure(client.enrollmentGroups.get('batch-7'));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({
      name: 'NotFoundError',
      operation: 'enrollmentGroups.get',
      id: 'batch-7',
      statusCode: 404,
      errorCode: 404204,
      trackingId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(error.message).toBe(
      `enrollmentGroups.get of "batch-7" failed: 404 (error code 404204, tracking id ${error.trackingId}) ` +
        'EnrollmentGroup not found. Check the id, and that the endpoint is that of the right instance.',
    );
  });

  it('can be told apart by class, as the service makes them', async () => {
    await using client = emulator.current.client(once);
    const { etag } = await create(client);
    await create(client, '*');
    expect(await failure(create(client))).toBeInstanceOf(AlreadyExistsError);
    expect(await failure(create(client, etag))).toBeInstanceOf(PreconditionFailedError);
    expect(await failure(create(client, 'not an etag'))).toBeInstanceOf(InvalidRequestError);
    expect(await failure(client.individualEnrollments.delete('dev-1'))).toBeInstanceOf(NotFoundError);
  });

  it.each([
    [400, InvalidRequestError, 'correct it'],
    [401, UnauthorizedError, 'clock'],
    [403, ForbiddenError, 'Data Contributor'],
    [404, NotFoundError, 'Check the id'],
    [405, InvalidRequestError, 'endpoint'],
    [409, AlreadyExistsError, 'ifMatch'],
    [412, PreconditionFailedError, 'read it again'],
    [415, InvalidRequestError, 'retry will not help'],
    [429, ThrottledError, 'Wait'],
    [408, UnavailableError, 'try again later'],
    [500, UnavailableError, 'try again later'],
    [501, UnavailableError, 'try again later'],
    [502, UnavailableError, 'try again later'],
    [503, UnavailableError, 'try again later'],
    [504, UnavailableError, 'try again later'],
    [418, DeviceProvisioningError, 'proxy'],
  ])('of status %i have their class and advice', async (status, errorClass, advice) => {
    await emulator.current.faults({ operation: '*', status, errorCode: status * 1000 + 7, retryAfter: '5' });
    await using client = emulator.current.client(once);
    const error = await failure(client.deviceRegistrationStates.get('dev-1'));
    expect(error.constructor).toBe(errorClass);
    expect(error).toMatchObject({ statusCode: status, errorCode: status * 1000 + 7, retryAfterInMs: 5000 });
    expect(error.message).toContain(advice);
    expect(error.message).toContain(error.trackingId);
  });

  it.each(['before', 'after'] as const)(
    'of a connection cut %s the change are unavailable, without status',
    async (reset) => {
      await emulator.current.faults({ operation: '*', reset });
      await using client = emulator.current.client(once);
      const error = await failure(create(client));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error).toMatchObject({
        statusCode: undefined,
        operation: 'enrollmentGroups.createOrUpdate',
        id: 'g',
      });
      expect(error.cause).toHaveProperty('code');
      expect(error.message).toContain('whether a write was carried out is not known');
    },
  );

  it.each(['garbage', 'truncated'] as const)('of an answer that is %s are unavailable', async (body) => {
    await emulator.current.faults({ operation: '*', body });
    await using client = emulator.current.client(once);
    expect(await failure(create(client))).toBeInstanceOf(UnavailableError);
  });

  it('with a garbage body still tell the status', async () => {
    await emulator.current.faults({ operation: '*', status: 403, body: 'garbage' });
    await using client = emulator.current.client(once);
    expect(await failure(create(client))).toMatchObject({ name: 'ForbiddenError', errorCode: undefined });
  });

  it('of slowness are unavailable', async () => {
    await emulator.current.faults({ operation: '*', latencyMs: 60_000 });
    await using client = emulator.current.client({ ...once, requestTimeoutInMs: 50 });
    expect(await failure(create(client))).toMatchObject({
      name: 'UnavailableError',
      message: expect.stringContaining('requestTimeoutInMs'),
    });
    await emulator.current.faults();
  });
});
