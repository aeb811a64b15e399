import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured, type TestEvent } from '../support/events.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, type SeenRequest, throughProxy } from '../support/proxy.ts';
import { requestsSoFar } from '../support/queue.ts';

describe('a delivery whose write to DPS is slow, while another one ends its event and newer ones come', () => {
  let chain: Chain;
  let proxy: FaultyProxy;
  let isSlow: (request: SeenRequest) => boolean = () => false;
  const slow: { goOn: () => void }[] = [];
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfDps(chain, {
      before: async (request) => {
        if (isSlow(request)) {
          await new Promise<void>((goOn) => slow.push({ goOn }));
        }
      },
    });
    // One at a time: while it is slow, all else goes to others.
    chain.startInstance({
      atOnce: 1,
      renewsLocks: false,
      env: { DPS_CONNECTION_STRING: throughProxy(proxy) },
    });
  });
  afterAll(async () => {
    await chain?.close();
    await proxy?.close();
  });

  const record = (sent: TestEvent) => chain.recordOf(sent);

  it.each([
    ['a deletion', 'DELETE', (id: string) => event('device.scrapped', id, undefined, { minutesAgo: 9 })],
    ['an update', 'PUT', (id: string) => event('device.held', id, undefined, { minutesAgo: 9 })],
  ])('%s that comes too late is put right, though its event has ended', async (_, method, late) => {
    const id = `thermostat-slow-${method.toLowerCase()}`;
    await chain.settle(manufactured(id, { tags: { a: 1 } }, { minutesAgo: 10 }));
    const sent = late(id);
    isSlow = (request) => request.method === method && request.path.includes(id);
    await chain.sendToQueue([sent]);
    await eventually(async () => slow.length === 1, 'the write is on its way');
    isSlow = () => false;
    // The lock of the slow one runs out, and somebody else gets the message.
    const other = chain.startInstance();
    chain.advance(61_000);
    await eventually(async () => chain.outcomeOf(sent), 'the event ends elsewhere');
    const newer = manufactured(id, { tags: { a: 2 }, remanufactured: true }, { minutesAgo: 8 });
    const released = event('device.released', id, undefined, { minutesAgo: 7 });
    await chain.settle(newer);
    await chain.settle(released);
    expect(await record(sent)).toMatchObject({ status: 'succeeded' });
    const updates = () => requestsSoFar(chain, /IndividualEnrollment_CreateOrUpdate/, /200/);
    const before = await updates();
    for (const { goOn } of slow.splice(0)) {
      goOn();
    }
    await eventually(async () => chain.instances[0]!.isIdle, 'the slow one is done');
    const enrollment = await chain.dps.individualEnrollments.get(id);
    expect(enrollment).toMatchObject({ initialTwin: { tags: { a: 2 } } });
    expect(enrollment.provisioningStatus ?? 'enabled').toBe('enabled');
    // What has been overtaken is not even written in passing; a deletion cannot be told from a newer one's in time.
    if (method === 'PUT') {
      expect(await updates()).toBe(before);
    }
    expect(chain.contradictions).toEqual([]);
    chain.instances.splice(chain.instances.indexOf(other), 1);
    await other.close();
  });
});
