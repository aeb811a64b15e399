import { describe, expect, it } from 'vitest';
import { ThrottledError, UnavailableError } from '../../src/dps/errors.ts';
import { CapturedClock } from './captured-clock.ts';
import { useEmulator } from './emulator.ts';

const emulator = useEmulator();

/** Retries without jitter, at captured times. */
function patient(retryOptions = {}) {
  const clock = new CapturedClock();
  return { clock, client: emulator.current.client({ clock, random: () => 1, retryOptions }) };
}

const device = { registrationId: 'dev-1', attestation: { type: 'symmetricKey' as const } };

describe('A call is repeated', () => {
  it.each([408, 429, 500, 502, 503, 504])('after status %i', async (status) => {
    await emulator.current.faults({ operation: '*', status, count: 2 });
    const { client, clock } = patient();
    await using _ = client;
    await client.individualEnrollments.createOrUpdate(device);
    expect(clock.waits).toEqual([500, 1000]);
  });

  it.each(['before', 'after'] as const)('after a connection that was cut %s the change', async (reset) => {
    await emulator.current.faults({ operation: '*', reset, count: 2 });
    const { client, clock } = patient();
    await using _ = client;
    expect(await client.individualEnrollments.createOrUpdate(device)).toMatchObject(device);
    expect(clock.waits.length).toBe(2);
  });

  it.each(['garbage', 'truncated'] as const)('after an answer that was %s', async (body) => {
    const { client, clock } = patient();
    await using _ = client;
    await client.individualEnrollments.createOrUpdate(device);
    await emulator.current.faults({ operation: '*', body, count: 2 });
    expect(await client.individualEnrollments.get('dev-1')).toMatchObject(device);
    expect(clock.waits.length).toBe(2);
  });

  it('whatever the operation', async () => {
    const { client, clock } = patient();
    await using _ = client;
    const { individualEnrollments, enrollmentGroups, deviceRegistrationStates } = client;
    const { attestation } = await individualEnrollments.createOrUpdate(device);
    await emulator.current.registerDevice('dev-1', attestation.symmetricKey!.primaryKey!);
    const group = { enrollmentGroupId: 'g', attestation: device.attestation };
    const calls: (() => Promise<unknown>)[] = [
      () => individualEnrollments.get('dev-1'),
      () => individualEnrollments.query().next(),
      () => individualEnrollments.getAttestationMechanism('dev-1'),
      () =>
        individualEnrollments.runBulkOperation({
          mode: 'create',
          enrollments: [{ ...device, registrationId: 'dev-2' }],
        }),
      () => enrollmentGroups.createOrUpdate(group),
      () => enrollmentGroups.get('g'),
      () => enrollmentGroups.query().next(),
      () => deviceRegistrationStates.query('g').next(),
      () => enrollmentGroups.getAttestationMechanism('g'),
      () =>
        enrollmentGroups.runBulkOperation({ mode: 'delete', enrollmentGroups: [{ enrollmentGroupId: 'g' }] }),
      () => deviceRegistrationStates.get('dev-1'),
      () => deviceRegistrationStates.delete('dev-1'),
      () => individualEnrollments.delete('dev-1'),
    ];
    for (const [i, call] of calls.entries()) {
      await emulator.current.faults({ operation: '*', status: 503, count: 1 });
      await call();
      expect(clock.waits.length).toBe(i + 1);
    }
  });
});

describe('A call is not repeated', () => {
  it.each([400, 403, 404, 405, 409, 412, 415, 501])('after status %i', async (status) => {
    await emulator.current.faults({ operation: '*', status });
    const { client, clock } = patient();
    await using _ = client;
    await expect(client.individualEnrollments.get('dev-1')).rejects.toMatchObject({ statusCode: status });
    expect(clock.waits).toEqual([]);
    expect(await emulator.current.answers('IndividualEnrollment_Get')).toEqual({ [status]: 1 });
  });

  it.each([429, 503])('with maxRetries: 0, after status %i either', async (status) => {
    await emulator.current.faults({ operation: '*', status });
    const { client } = patient({ maxRetries: 0 });
    await using _ = client;
    await expect(client.individualEnrollments.get('dev-1')).rejects.toMatchObject({ statusCode: status });
    expect(await emulator.current.answers('IndividualEnrollment_Get')).toEqual({ [status]: 1 });
  });

  it("more often than maxRetries, and the last error is the call's", async () => {
    await emulator.current.faults({ operation: '*', status: 503 });
    const { client, clock } = patient();
    await using _ = client;
    await expect(client.individualEnrollments.get('dev-1')).rejects.toThrow(UnavailableError);
    expect(clock.waits).toEqual([500, 1000, 2000, 4000, 8000]);
    expect(await emulator.current.answers('IndividualEnrollment_Get')).toEqual({ 503: 6 });
  });

  it('once its total time is over, and no wait is longer than the cap', async () => {
    await emulator.current.faults({ operation: '*', status: 503 });
    const { client, clock } = patient({ maxRetries: 100, maxRetryDelayInMs: 3000, totalTimeInMs: 10_000 });
    await using _ = client;
    await expect(client.individualEnrollments.get('dev-1')).rejects.toThrow(UnavailableError);
    expect(clock.waits.slice(0, 5)).toEqual([500, 1000, 2000, 3000, 3000]);
    expect(clock.waits.reduce((sum, wait) => sum + wait, 0)).toBe(10_000);
  });
});

describe('Retry-After', () => {
  it('in seconds is waited for, however long the own wait would be', async () => {
    await emulator.current.faults({ operation: '*', status: 429, retryAfter: '70', count: 1 });
    const { client, clock } = patient();
    await using _ = client;
    await client.individualEnrollments.createOrUpdate(device);
    expect(clock.waits).toEqual([70_000]);
  });

  it('as an HTTP date is waited for', async () => {
    const retryAfter = new Date(Date.now() + 60_000).toUTCString();
    await emulator.current.faults({ operation: '*', status: 503, retryAfter, count: 1 });
    const { client, clock } = patient();
    await using _ = client;
    await client.individualEnrollments.createOrUpdate(device);
    expect(clock.waits.length).toBe(1);
    expect(clock.waits[0]).toBeGreaterThan(30_000);
    expect(clock.waits[0]).toBeLessThanOrEqual(61_000);
  });

  it.each(['soon', '-5', '1.5', '2026-13-45'])(
    'that is malformed loses its say, not the retry: %s',
    async (retryAfter) => {
      await emulator.current.faults({ operation: '*', status: 429, retryAfter, count: 1 });
      const { client, clock } = patient();
      await using _ = client;
      await client.individualEnrollments.createOrUpdate(device);
      expect(clock.waits).toEqual([500]);
    },
  );

  it('that ends with the total time is waited for', async () => {
    await emulator.current.faults({ operation: '*', status: 429, retryAfter: '120', count: 1 });
    const { client, clock } = patient();
    await using _ = client;
    await client.individualEnrollments.createOrUpdate(device);
    expect(clock.waits).toEqual([120_000]);
  });

  it('beyond the total time ends the call at once, and the error says how long to wait', async () => {
    await emulator.current.faults({ operation: '*', status: 429, retryAfter: '86400' });
    const { client, clock } = patient();
    await using _ = client;
    const error = await client.individualEnrollments.get('dev-1').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ThrottledError);
    expect(error).toHaveProperty('retryAfterInMs', 86_400_000);
    expect(clock.waits).toEqual([]);
  });
});

describe('An abort signal', () => {
  it('that is aborted already lets nothing be sent', async () => {
    await using client = emulator.current.client();
    const abortSignal = AbortSignal.abort();
    await expect(client.individualEnrollments.get('dev-1', { abortSignal })).rejects.toThrow('aborted');
    expect(await emulator.current.answers('IndividualEnrollment_Get')).toEqual({});
  });

  it('ends a wait at once', async () => {
    await emulator.current.faults({ operation: '*', status: 503, retryAfter: '100' });
    const controller = new AbortController();
    await using client = emulator.current.client({ onWait: () => controller.abort(new Error('enough')) });
    const { signal: abortSignal } = controller;
    await expect(client.individualEnrollments.get('dev-1', { abortSignal })).rejects.toThrow('enough');
  });

  it('ends a request under way at once', async () => {
    await emulator.current.faults({ operation: '*', latencyMs: 60_000 });
    await using client = emulator.current.client();
    const controller = new AbortController();
    const { signal: abortSignal } = controller;
    const call = client.individualEnrollments.get('dev-1', { abortSignal });
    setImmediate(() => controller.abort(new Error('enough')));
    await expect(call).rejects.toThrow('enough');
    await emulator.current.faults();
  });

  it('ends requests that wait for a connection', async () => {
    await emulator.current.faults({ operation: '*', latencyMs: 60_000 });
    await using client = emulator.current.client({ connections: 1 });
    const controller = new AbortController();
    const { signal: abortSignal } = controller;
    const calls = ['a', 'b', 'c'].map((id) => client.individualEnrollments.get(id, { abortSignal }));
    setImmediate(() => controller.abort(new Error('enough')));
    const ends = await Promise.allSettled(calls);
    expect(ends.map((end) => (end as PromiseRejectedResult).reason.message)).toEqual([
      'enough',
      'enough',
      'enough',
    ]);
    await emulator.current.faults();
    await expect(client.individualEnrollments.get('a')).rejects.toMatchObject({ statusCode: 404 });
  });

  it('ends a query between two pages', async () => {
    await emulator.current.control('POST', '/seed', {
      groups: 0,
      registrationsPerGroup: 0,
      individualEnrollments: 20,
    });
    await using client = emulator.current.client();
    const controller = new AbortController();
    const { signal: abortSignal } = controller;
    const pages = client.individualEnrollments.query(undefined, { abortSignal }).byPage({ maxPageSize: 10 });
    await pages.next();
    controller.abort(new Error('enough'));
    await expect(pages.next()).rejects.toThrow('enough');
  });
});
