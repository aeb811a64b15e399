import { describe, expect, it } from 'vitest';
import {
  AlreadyExistsError,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  PreconditionFailedError,
  UnavailableError,
} from '../../src/dps/errors.ts';
import type { IndividualEnrollment } from '../../src/dps/models.ts';
import { useEmulator } from './emulator.ts';
import { ScriptedService } from './scripted-service.ts';

const emulator = useEmulator();
const bulk = 'IndividualEnrollment_RunBulkOperation';

function devices(count: number, prefix = 'dev'): IndividualEnrollment[] {
  return Array.from({ length: count }, (_, i) => ({
    registrationId: `${prefix}-${i}`,
    attestation: { type: 'symmetricKey' },
  }));
}

describe('Creating many', () => {
  it('sends ten to a request, and answers for each in the given order', async () => {
    await using client = emulator.current.client();
    const results = await client.individualEnrollments.createMany(devices(43));
    expect(results).toEqual(
      devices(43).map(({ registrationId }) => ({ id: registrationId, succeeded: true })),
    );
    expect(await emulator.current.answers(bulk)).toEqual({ 200: 5 });
  });

  it('takes the failure of an item as its result', async () => {
    await using client = emulator.current.client();
    await client.individualEnrollments.createMany([devices(30)[7]!, devices(30)[21]!]);
    const results = await client.individualEnrollments.createMany(devices(30));
    const failed = results.filter((result) => !result.succeeded);
    expect(failed.map(({ id }) => id)).toEqual(['dev-7', 'dev-21']);
    for (const { id, error } of failed) {
      expect(error).toBeInstanceOf(AlreadyExistsError);
      expect(error).toMatchObject({ id, errorCode: 409201, operation: 'individualEnrollments.createMany' });
      expect(error.message).toContain(id);
    }
  });

  it('of nothing sends nothing', async () => {
    await using client = emulator.current.client();
    expect(await client.individualEnrollments.createMany([])).toEqual([]);
    expect(await emulator.current.answers(bulk)).toEqual({});
  });

  it('of groups works the same', async () => {
    await using client = emulator.current.client();
    const groups = devices(12).map(({ registrationId, attestation }) => ({
      enrollmentGroupId: registrationId,
      attestation,
    }));
    const created = await client.enrollmentGroups.createMany(groups);
    expect(created.every(({ succeeded }) => succeeded)).toBe(true);
    const deleted = await client.enrollmentGroups.deleteMany(
      groups.map(({ enrollmentGroupId }) => enrollmentGroupId),
    );
    expect(deleted.every(({ succeeded }) => succeeded)).toBe(true);
    expect(await emulator.current.answers('EnrollmentGroup_RunBulkOperation')).toEqual({ 200: 4 });
  });

  it('does not send an id twice, nor one that is none', async () => {
    await using client = emulator.current.client();
    const [first] = devices(1);
    const results = await client.individualEnrollments.createMany([
      first!,
      { ...first!, registrationId: 'DEV-0', deviceId: 'other' },
      { ...first!, registrationId: '' },
    ]);
    expect(results.map(({ succeeded }) => succeeded)).toEqual([true, false, false]);
    expect(results.slice(1)).toMatchObject([
      { error: { name: 'InvalidRequestError' } },
      { error: { name: 'InvalidRequestError' } },
    ]);
    expect((await client.individualEnrollments.get('dev-0')).deviceId).toBeUndefined();
  });

  it('does not let an item that DPS cannot read spoil the others of its request', async () => {
    await using client = emulator.current.client();
    const items = devices(10);
    // A bulk that DPS refuses as a whole: the emulator has one for items that are no objects.
    items[3] = Object.assign([], items[3]) as unknown as IndividualEnrollment;
    const results = await client.individualEnrollments.createMany(items);
    expect(results.map(({ succeeded }) => succeeded)).toEqual(items.map((_, i) => i !== 3));
    expect(results[3]).toMatchObject({ error: { name: 'InvalidRequestError' } });
  });

  it.each([1, 3, undefined])('has no more requests under way than it is allowed: %s', async (concurrency) => {
    let underWay = 0;
    let most = 0;
    await using service = await ScriptedService.start((response) => {
      underWay += 1;
      most = Math.max(most, underWay);
      setTimeout(() => {
        underWay -= 1;
        response.end('{"isSuccessful":true,"errors":[]}');
      }, 20);
    });
    await using client = service.client();
    await client.individualEnrollments.createMany(devices(120), { concurrency });
    expect(service.arrivals.length).toBe(12);
    expect(most).toBe(concurrency ?? 4);
  });

  it('ends when nothing may be sent: the rest fails without being sent', async () => {
    await emulator.current.faults({ operation: bulk, status: 403 });
    await using client = emulator.current.client();
    const results = await client.individualEnrollments.createMany(devices(100), { concurrency: 1 });
    expect(results.length).toBe(100);
    for (const result of results) {
      expect(result.succeeded ? undefined : result.error).toBeInstanceOf(ForbiddenError);
    }
    expect(await emulator.current.answers(bulk)).toEqual({ 403: 1 });
  });

  it('takes a request that fails after its retries as the result of its items alone', async () => {
    await emulator.current.faults({ operation: bulk, status: 503, count: 1 });
    await using client = emulator.current.client({ retryOptions: { maxRetries: 0 } });
    const results = await client.individualEnrollments.createMany(devices(30), { concurrency: 1 });
    expect(results.map(({ succeeded }) => succeeded)).toEqual(results.map((_, i) => i >= 10));
    expect(results[0]).toMatchObject({ error: expect.any(UnavailableError) });
  });

  it('is ended by an abort signal, which rejects', async () => {
    await emulator.current.faults({ operation: bulk, latencyMs: 60_000 });
    await using client = emulator.current.client();
    const controller = new AbortController();
    const call = client.individualEnrollments.createMany(devices(100), { abortSignal: controller.signal });
    setImmediate(() => controller.abort(new Error('enough')));
    await expect(call).rejects.toThrow('enough');
    await emulator.current.faults();
  });
});

describe('Updating many', () => {
  it('replaces each on condition of its etag, and tells which had been changed', async () => {
    await using client = emulator.current.client();
    const { individualEnrollments } = client;
    const stored = await Promise.all(devices(12).map((item) => individualEnrollments.createOrUpdate(item)));
    await individualEnrollments.createOrUpdate(
      { ...stored[5]!, deviceId: 'theirs' },
      { onlyIfUnchanged: true },
    );
    const results = await individualEnrollments.updateMany(
      stored.map((item) => ({ ...item, deviceId: 'ours' })),
    );
    expect(results.filter(({ succeeded }) => !succeeded)).toEqual([
      { id: 'dev-5', succeeded: false, error: expect.any(PreconditionFailedError) },
    ]);
    expect((await individualEnrollments.get('dev-11')).deviceId).toBe('ours');
    expect((await individualEnrollments.get('dev-5')).deviceId).toBe('theirs');
  });

  it('never creates: an item without etag is not sent', async () => {
    await using client = emulator.current.client();
    const results = await client.individualEnrollments.updateMany(devices(3));
    for (const result of results) {
      expect(result).toMatchObject({ succeeded: false, error: expect.any(InvalidRequestError) });
    }
    expect(await emulator.current.answers(bulk)).toEqual({});
  });

  it('replaces any version where that is asked for, and still creates nothing', async () => {
    await using client = emulator.current.client();
    const { individualEnrollments } = client;
    await individualEnrollments.createMany(devices(2));
    const changed = devices(3).map((item) => ({ ...item, deviceId: 'ours', etag: 'stale' }));
    const results = await individualEnrollments.updateMany(changed, { unconditional: true });
    expect(results).toEqual([
      { id: 'dev-0', succeeded: true },
      { id: 'dev-1', succeeded: true },
      { id: 'dev-2', succeeded: false, error: expect.any(NotFoundError) },
    ]);
    expect(changed[0]?.etag).toBe('stale');
  });
});

describe('Deleting many', () => {
  it('takes ids and objects, with etags where they are to count', async () => {
    await using client = emulator.current.client();
    const { individualEnrollments } = client;
    const stored = await Promise.all(devices(3).map((item) => individualEnrollments.createOrUpdate(item)));
    await individualEnrollments.createOrUpdate(stored[1]!, { onlyIfUnchanged: true });
    const results = await individualEnrollments.deleteMany(['dev-0', stored[1]!, stored[2]!, 'dev-9']);
    expect(results).toEqual([
      { id: 'dev-0', succeeded: true },
      { id: 'dev-1', succeeded: false, error: expect.any(PreconditionFailedError) },
      { id: 'dev-2', succeeded: true },
      { id: 'dev-9', succeeded: false, error: expect.any(NotFoundError) },
    ]);
  });
});
