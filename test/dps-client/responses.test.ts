import { describe, expect, it } from 'vitest';
import { NotFoundError, ThrottledError } from '../../src/dps/errors.ts';
import type { RawResponseCallback } from '../../src/dps/operation-options.ts';
import { CapturedClock } from './captured-clock.ts';
import { useEmulator } from './emulator.ts';

const emulator = useEmulator();

function recorder() {
  const seen: { status: number; flat: unknown; error: unknown; url: string; type: string | undefined }[] = [];
  const onResponse: RawResponseCallback = ({ status, headers, request }, flat, error) =>
    seen.push({ status, flat, error, url: request.url, type: headers.get('Content-Type') });
  return { seen, onResponse };
}

describe('onResponse', () => {
  it('shows every response of a call, the retried ones with their error', async () => {
    await emulator.current.faults({ operation: '*', status: 429, count: 1 });
    await using client = emulator.current.client({ clock: new CapturedClock() });
    const { seen, onResponse } = recorder();
    const stored = await client.individualEnrollments.createOrUpdate(
      { registrationId: 'watched', attestation: { type: 'symmetricKey' } },
      { onResponse },
    );
    expect(seen.map(({ status }) => status)).toEqual([429, 200]);
    expect(seen[0]?.error).toBeInstanceOf(ThrottledError);
    expect(seen[0]?.flat).toBeUndefined();
    expect(seen[1]?.error).toBeUndefined();
    expect(seen[1]?.flat).toEqual(stored);
    expect(seen[1]?.type).toMatch(/^application\/json/);
    expect(seen[1]?.url).toBe(`${emulator.current.endpoint}/enrollments/watched?api-version=2021-10-01`);
  });

  it('shows each page of a query, and each request of many', async () => {
    await using client = emulator.current.client();
    const { seen, onResponse } = recorder();
    const groups = Array.from({ length: 12 }, (_, i) => ({
      enrollmentGroupId: `watched-${i}`,
      attestation: { type: 'symmetricKey' as const },
    }));
    await client.enrollmentGroups.createMany(groups, { onResponse });
    expect(seen.map(({ status }) => status)).toEqual([200, 200]);
    seen.length = 0;
    for await (const _page of client.enrollmentGroups
      .query(undefined, { onResponse })
      .byPage({ maxPageSize: 5 })) {
    }
    expect(seen.length).toBeGreaterThanOrEqual(3);
  });

  it('shows a failure before the call rejects with it, and cannot break a call', async () => {
    await using client = emulator.current.client();
    const { seen, onResponse } = recorder();
    const error = await client.enrollmentGroups.get('nobody', { onResponse }).catch((reason) => reason);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(seen.map((each) => each.error)).toEqual([error]);
    const broken = () => {
      throw new Error('a broken callback');
    };
    await expect(
      client.individualEnrollments.query(undefined, { onResponse: broken }).next(),
    ).resolves.toBeDefined();
  });

  it('has all headers, and the request without its headers', async () => {
    await using client = emulator.current.client();
    await client.deviceRegistrationStates
      .get('nobody', {
        onResponse: ({ headers, request, bodyAsText }) => {
          expect(headers.has('content-type')).toBe(true);
          expect(headers.has('x-nothing')).toBe(false);
          expect(headers.toJSON()).toHaveProperty('content-type', headers.get('CONTENT-TYPE'));
          expect(Object.keys(request)).toEqual(['method', 'url']);
          expect(JSON.parse(bodyAsText)).toHaveProperty('errorCode');
        },
      })
      .catch(() => undefined);
    expect.assertions(5);
  });
});
