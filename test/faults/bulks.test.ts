import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { RetryLaterError } from '../../src/enrollment/dps-access/retry-later-error.ts';
import { Chain } from '../support/chain.ts';
import { createdBy } from '../support/created-by.ts';
import { event, manufactured } from '../support/events.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, type SeenRequest, throughProxy } from '../support/proxy.ts';
import { allQuiet } from '../support/queue.ts';
import { reconcile } from '../support/reconciling.ts';

const enrollment = (registrationId: string, size = 0) => ({
  registrationId,
  attestation: { type: 'symmetricKey' as const },
  initialTwin: { tags: { x: 'y'.repeat(size) } },
});

describe('creations of enrollments', () => {
  let chain: Chain;
  let proxy: FaultyProxy;
  let seen: SeenRequest[] = [];
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfDps(chain, {
      fate: (request) => {
        seen.push(request);
        return 'pass';
      },
    });
    chain.startInstance({ env: { DPS_CONNECTION_STRING: throughProxy(proxy) } });
  });
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
  });
  afterEach(() => {
    seen = [];
  });

  /** Through the real writer, throttledDps and client: what comes at once, straight from here. */
  const create = (ids: readonly string[], size = 0) =>
    Promise.allSettled(
      ids.map((id) => {
        const desired = { kind: 'enrollment' as const, enrollment: enrollment(id, size) };
        return reconcile(chain.instances[0]!.services, id, desired, { mayExist: false });
      }),
    );
  const idsOf = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => `thermostat-${prefix}-${index}`);

  it.each([
    { count: 1, sizes: [1] },
    { count: 2, sizes: [2] },
    { count: 10, sizes: [10] },
    { count: 11, sizes: [10, 1] },
    { count: 25, sizes: [10, 10, 5] },
  ])('that come $count at once go in requests of $sizes', async ({ count, sizes }) => {
    const ids = idsOf(`sized-${count}`, count);
    const results = await create(ids);
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(
      seen
        .map(createdBy)
        .map((each) => each.length)
        .sort(descending),
    ).toEqual(sizes);
    expect(seen.flatMap(createdBy).sort()).toEqual([...ids].sort());
    expect(seen.filter(({ method }) => method === 'PUT')).toHaveLength(
      sizes.filter((each) => each === 1).length,
    );
  });

  it('are never more to a request than its 96 KB', async () => {
    const ids = idsOf('large', 6);
    await create(ids, 40_000);
    expect(seen.map(createdBy).map((each) => each.length)).toEqual([2, 2, 2]);
    for (const { body } of seen) {
      expect(body.length).toBeLessThan(96 * 1024);
    }
  });

  it('that nobody asks for make no request, and neither do events that ask nothing of DPS', async () => {
    await create([]);
    await chain.settle(
      manufactured('beacon-member', { product: 'beacon-b2', batch: 'batch-1' }),
      manufactured('thermostat-wrong', { product: 'toaster' }),
    );
    expect(seen).toEqual([]);
  });

  it('of one device that come many times at once are one creation, with all that was said', async () => {
    const id = 'thermostat-once';
    const others = idsOf('beside', 8).map((each) => manufactured(each));
    const born = manufactured(id, { tags: { a: 1 } }, { minutesAgo: 9 });
    const changed = event(
      'device.changed',
      id.toUpperCase(),
      { product: 'thermostat-g2', tags: { a: 2 } },
      { minutesAgo: 8 },
    );
    await chain.settle(...others, born, changed, born, changed, ...others);
    await allQuiet(chain);
    for (const created of seen.map(createdBy)) {
      expect(new Set(created).size).toBe(created.length);
    }
    expect(seen.flatMap(createdBy).filter((each) => each === id)).toHaveLength(1);
    for (const { subject } of others) {
      expect(
        seen.flatMap(createdBy).filter((each) => each === subject),
        subject,
      ).toHaveLength(1);
    }
    expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({ initialTwin: { tags: { a: 2 } } });
  });

  it('that exist already fail nobody beside them: equal ones are done, different ones updated by etag', async () => {
    const ids = idsOf('mixed', 10);
    await create(ids.slice(0, 5));
    await chain.dps.individualEnrollments.createOrUpdate(
      { ...enrollment(ids[0]!), provisioningStatus: 'disabled' },
      { ifMatch: '*' },
    );
    seen = [];
    const results = await create(ids);
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(createdBy(seen[0]!)).toHaveLength(10);
    const updates = seen.filter(({ method }) => method === 'PUT');
    expect(updates.map(({ path }) => path.split('?')[0])).toEqual([`/enrollments/${ids[0]}`]);
    expect(updates[0]?.headers['if-match']).toMatch(/^I[A-Za-z0-9+/]+=*$/);
    expect((await chain.dps.individualEnrollments.get(ids[0]!)).provisioningStatus ?? 'enabled').toBe(
      'enabled',
    );
  });

  it('that cannot be done in time fail all alike, and the next ones go on', async () => {
    await chain.control('faults', 'PUT', [{ operation: '*', status: 503, count: 3 }]);
    const failed = await create(idsOf('late', 3));
    for (const each of failed) {
      expect(each).toMatchObject({ reason: expect.any(RetryLaterError) });
    }
    const done = await create(idsOf('late', 3));
    expect(done.every(({ status }) => status === 'fulfilled')).toBe(true);
  });
});

function descending(left: number, right: number): number {
  return right - left;
}
