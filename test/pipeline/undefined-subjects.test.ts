import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { switchOn } from '../support/audits.ts';
import { Chain } from '../support/chain.ts';
import { event, manufactured, type TestEvent } from '../support/events.ts';

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const keys = (byte: number) => ({ primaryKey: key(byte), secondaryKey: key(byte + 1) });

describe('a device or batch that no event has defined', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start();
  });
  afterAll(() => chain?.close());

  /** As somebody made it in the portal. */
  const byHand = (registrationId: string, byte: number) =>
    chain.dps.individualEnrollments.createOrUpdate({
      registrationId,
      attestation: { type: 'symmetricKey', symmetricKey: keys(byte) },
      initialTwin: { tags: { by: 'hand' } },
      reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: false },
    });
  const groupByHand = (enrollmentGroupId: string, byte: number) =>
    chain.dps.enrollmentGroups.createOrUpdate({
      enrollmentGroupId,
      attestation: { type: 'symmetricKey', symmetricKey: keys(byte) },
      initialTwin: { tags: { by: 'hand' } },
    });
  const keysOf = async (id: string) =>
    (await chain.dps.individualEnrollments.getAttestationMechanism(id)).symmetricKey;
  const outcome = (sent: TestEvent) => chain.outcomeOf(sent);

  it.each(['held', 'scrapped'])(
    'is disabled when it is %s, with its keys and all else that it had',
    async (kind) => {
      const id = `thermostat-hand-${kind}`;
      const made = await byHand(id, 10);
      const sent = event(`device.${kind}`, id, undefined, { minutesAgo: 5 });
      await chain.settle(sent);
      expect(outcome(sent)).toMatchObject({
        type: 'enrollment.succeeded',
        data: { provisioningStatus: 'disabled', warnings: [] },
      });
      expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({
        provisioningStatus: 'disabled',
        initialTwin: { tags: { by: 'hand' } },
        reprovisionPolicy: made.reprovisionPolicy,
      });
      expect(await keysOf(id)).toEqual(keys(10));
    },
  );

  it('is enabled again when it is released, if it was disabled so', async () => {
    const id = 'thermostat-hand-released';
    await byHand(id, 20);
    await chain.settle(event('device.held', id, { reason: 'inspection' }, { minutesAgo: 5 }));
    const released = event('device.released', id, undefined, { minutesAgo: 4 });
    await chain.settle(released);
    expect(outcome(released)?.data).toMatchObject({ provisioningStatus: 'enabled' });
    expect((await chain.dps.individualEnrollments.get(id)).provisioningStatus).toBe('enabled');
    expect(await keysOf(id)).toEqual(keys(20));
  });

  it('stays disabled when it is released, if somebody else had disabled it', async () => {
    const id = 'thermostat-hand-disabled';
    await byHand(id, 30);
    const { etag = '', registrationState: _, ...read } = await chain.dps.individualEnrollments.get(id);
    const attestation = { type: 'symmetricKey' as const, symmetricKey: keys(30) };
    await chain.dps.individualEnrollments.createOrUpdate(
      { ...read, attestation, provisioningStatus: 'disabled' },
      { ifMatch: etag },
    );
    await chain.settle(event('device.held', id, undefined, { minutesAgo: 5 }));
    const released = event('device.released', id, undefined, { minutesAgo: 4 });
    await chain.settle(released);
    expect(outcome(released)?.data, 'as DPS shows it').toMatchObject({ provisioningStatus: 'disabled' });
    expect((await chain.dps.individualEnrollments.get(id)).provisioningStatus).toBe('disabled');
  });

  it('that comes through a group is kept out by a hold, and comes in again once it is released', async () => {
    await groupByHand('rogues', 40);
    expect(await switchOn(chain, 'rogue-1', 'rogues')).toMatchObject({ status: 'assigned' });
    const held = event('device.held', 'rogue-1', undefined, { minutesAgo: 5 });
    await chain.settle(held);
    expect(outcome(held)?.data).toMatchObject({ provisioningStatus: 'disabled', hubAccess: 'open' });
    expect((await switchOn(chain, 'rogue-1', 'rogues')).status).not.toBe('assigned');
    await chain.settle(event('device.released', 'rogue-1', undefined, { minutesAgo: 4 }));
    expect((await chain.enrollments()).has('rogue-1'), 'what the hold made is gone').toBe(false);
    expect(await switchOn(chain, 'rogue-1', 'rogues')).toMatchObject({ status: 'assigned' });
  });

  it.each([
    ['held', 50],
    ['recalled', 52],
    ['retired', 54],
  ])('is a group whose members stay out once it is %s', async (kind, byte) => {
    const id = `line-${kind}`;
    await groupByHand(id, byte);
    expect(await switchOn(chain, `member-${kind}`, id)).toMatchObject({ status: 'assigned' });
    const sent = event(`batch.${kind}`, id, undefined, { minutesAgo: 5 });
    await chain.settle(sent);
    expect(outcome(sent)?.data).toMatchObject({ enrollmentGroupId: id, provisioningStatus: 'disabled' });
    const stored = await chain.dps.enrollmentGroups.get(id);
    expect(stored).toMatchObject({ provisioningStatus: 'disabled', initialTwin: { tags: { by: 'hand' } } });
    expect((await chain.dps.enrollmentGroups.getAttestationMechanism(id)).symmetricKey).toEqual(keys(byte));
    expect((await switchOn(chain, `member-${kind}`, id)).status).not.toBe('assigned');
    expect(await chain.stats(), 'nothing of it is deleted').not.toMatchObject({ registrations: 0 });
    await chain.settle(event('batch.released', id, undefined, { minutesAgo: 4 }));
    const status = (await chain.dps.enrollmentGroups.get(id)).provisioningStatus;
    expect(status).toBe(kind === 'held' ? 'enabled' : 'disabled');
  });

  it('is remembered where DPS has no such group, and its outcome and page say so', async () => {
    const held = event('batch.held', 'batch-nowhere', undefined, { minutesAgo: 5 });
    await chain.settle(held);
    expect(outcome(held)).toMatchObject({ type: 'enrollment.succeeded', data: { warnings: ['not-in-dps'] } });
    const { shouldBe, is } = await chain.json<{ shouldBe: object; is: unknown }>(
      '/api/batches/batch-nowhere',
    );
    expect({ shouldBe, is }).toMatchObject({ shouldBe: { inSync: false }, is: null });
    await chain.settle(event('batch.started', 'batch-nowhere', { product: 'beacon-b2' }, { minutesAgo: 6 }));
    expect(await chain.dps.enrollmentGroups.get('batch-nowhere')).toMatchObject({
      provisioningStatus: 'disabled',
    });
  });

  it('is taken over by its definition, whatever came first, with the keys that it has', async () => {
    const id = 'thermostat-hand-defined';
    await byHand(id, 60);
    await chain.settle(event('device.held', id, undefined, { minutesAgo: 5 }));
    await chain.settle(manufactured(id, { tags: { order: 5 } }, { minutesAgo: 6 }));
    expect(await chain.dps.individualEnrollments.get(id)).toMatchObject({
      provisioningStatus: 'disabled',
      initialTwin: { tags: { line: 'comfort', order: 5 } },
    });
    expect(await keysOf(id)).toEqual(keys(60));
    await chain.settle(event('device.released', id, undefined, { minutesAgo: 4 }));
    expect((await chain.dps.individualEnrollments.get(id)).provisioningStatus).toBe('enabled');
  });
});
