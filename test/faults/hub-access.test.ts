import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { officialRegistry } from '../dps-emulator/hub-client.ts';
import type { AppInstance } from '../support/app-instance.ts';
import { switchOn } from '../support/audits.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured, type TestEvent } from '../support/events.ts';

const hub = 'brno-hub.azure-devices.net';
const product = 'beacon-b1';

describe('closing hubs', () => {
  let chain: Chain;
  beforeEach(async () => {
    chain = await Chain.start({ apps: 0, env: { HUB_ACCESS: 'close' } });
    await link(hub);
  });
  afterEach(() => chain?.close());

  const link = (hostName: string) => chain.control('hubs', 'PUT', [{ hostName }]);
  const registry = () => officialRegistry(chain.stack.endpoints.dps.endpoint, hub);
  const statusOf = async (id: string) => (await registry().get(id)).responseBody.status;
  const statusesOf = (ids: readonly string[]) => Promise.all(ids.map(statusOf));
  const settled = async (type: string, id: string, minutesAgo: number, data?: unknown) => {
    const sent = event(type, id, data, { minutesAgo });
    await chain.settle(sent);
    return sent;
  };
  const batchOf = async (batch: string, count: number) => {
    const members = Array.from({ length: count }, (_, index) => `${batch}-member-${index}`);
    await settled('batch.started', batch, 60, { product });
    await chain.settle(...members.map((id) => manufactured(id, { product, batch }, { minutesAgo: 50 })));
    await Promise.all(members.map((id) => switchOn(chain, id, batch)));
    return members;
  };
  const hubRequests = async () => {
    const { requests } = await chain.stats();
    const all = { ...requests.HubIdentity_Get };
    for (const [status, count] of Object.entries(requests.HubIdentity_CreateOrUpdate ?? {})) {
      all[status] = (all[status] ?? 0) + count;
    }
    return all;
  };
  const hasEnded = (sent: TestEvent) => chain.outcomeOf(sent) !== undefined;
  const untilEnded = (sent: TestEvent, inMs = 5_000) =>
    eventually(async () => {
      chain.advance(inMs);
      return hasEnded(sent);
    }, 'it ends');

  it('a recall keeps to what its hub takes in a minute, and a hold of one device does not wait behind it', async () => {
    await chain.control('quota', 'PUT', { hubOperationsPerMinute: 60 });
    chain.startInstance({ env: { HUB_OPERATIONS_PER_MINUTE: '60' } });
    const members = await batchOf('slow', 40);
    await chain.settle(manufactured('thermostat-urgent', {}, { minutesAgo: 50 }));
    await switchOn(chain, 'thermostat-urgent');
    const recalled = event('batch.recalled', 'slow', undefined, { minutesAgo: 5 });
    await chain.sendToQueue([recalled]);
    await eventually(async () => ((await hubRequests())['200'] ?? 0) > 4, 'the recall is under way');
    const held = event('device.held', 'thermostat-urgent', undefined, { minutesAgo: 4 });
    await chain.sendToQueue([held]);
    await untilEnded(held);
    expect(chain.outcomeOf(held)?.data).toMatchObject({ hubAccess: 'closed' });
    expect(hasEnded(recalled), 'the hold went first').toBe(false);
    await untilEnded(recalled, 20_000);
    expect(await hubRequests()).not.toHaveProperty('429');
    await chain.control('quota', 'PUT', {});
    expect(new Set(await statusesOf(members))).toEqual(new Set(['disabled']));
  });

  it.each([1, 3])(
    'a recall whose app is killed time and again forgets nobody, with %i of them',
    async (apps) => {
      const members = await batchOfWithApp('killed', 60);
      await chain.control('faults', 'PUT', [{ operation: 'HubIdentity_*', latencyMs: 40 }]);
      await Promise.all(Array.from({ length: apps }, () => chain.startApp(fast)));
      const recalled = event('batch.recalled', 'killed', undefined, { minutesAgo: 5 });
      await chain.sendToQueue([recalled]);
      for (let kill = 1; kill <= 3; kill++) {
        await eventually(
          async () => ((await hubRequests())['200'] ?? 0) > kill * 20 || hasEnded(recalled),
          'some are closed',
        );
        await chain.killApp();
        await chain.startApp(fast);
        chain.advance(61_000);
      }
      await untilEnded(recalled, 20_000);
      expect(new Set(await statusesOf(members))).toEqual(new Set(['disabled']));
      expect(chain.contradictions).toEqual([]);
    },
  );

  const fast = { HUB_OPERATIONS_PER_MINUTE: '100000', DPS_OPERATIONS_PER_MINUTE: '1000000' };
  /** Made by an instance of this process, which then goes. */
  const batchOfWithApp = async (batch: string, count: number) => {
    const maker = chain.startInstance({ env: fast });
    const members = await batchOf(batch, count);
    await maker.close();
    return members;
  };

  it('a release that comes while a batch is being closed opens all of it', async () => {
    const app = chain.startInstance({ env: fast });
    const members = await batchOf('turned', 60);
    await chain.control('faults', 'PUT', [{ operation: 'HubIdentity_CreateOrUpdate', latencyMs: 50 }]);
    const held = event('batch.held', 'turned', undefined, { minutesAgo: 5 });
    await chain.sendToQueue([held]);
    await eventually(async () => ((await hubRequests())['200'] ?? 0) > 30, 'some are closed');
    const released = event('batch.released', 'turned', undefined, { minutesAgo: 4 });
    await chain.sendToQueue([released]);
    await chain.ended([held, released]);
    expect(chain.outcomeOf(released)?.data).toMatchObject({ hubAccess: 'open' });
    expect(new Set(await statusesOf(members))).toEqual(new Set(['enabled']));
    expect(app.thrown).toEqual([]);
  });

  it('a hub that does not exist any more keeps no hold waiting for ever, and the outcome says that it is not known', async () => {
    const access = 'SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0';
    const gone = 'gone-hub.invalid';
    const app = chain.startInstance({ env: { HUB_CONNECTION_STRINGS: `HostName=${gone};${access}` } });
    await link(gone);
    await chain.settle(manufactured('thermostat-lost', {}, { minutesAgo: 50 }));
    await switchOn(chain, 'thermostat-lost');
    const held = event('device.held', 'thermostat-lost', undefined, { minutesAgo: 4 });
    await chain.sendToQueue([held]);
    await untilEnded(held, 60_000);
    expect(chain.outcomeOf(held)?.data).toMatchObject({
      ...{ provisioningStatus: 'disabled', hubAccess: 'pending', assignedHub: gone },
    });
    expect(app.logged.some((line) => line.startsWith('error hub-access-unknown'))).toBe(true);
  });

  it('a name that is no hub of Azure is sent no token', async () => {
    const app = chain.startInstance({ env: { HUB_CONNECTION_STRINGS: '' } });
    await link('hub.example.com');
    await chain.settle(manufactured('thermostat-elsewhere', {}, { minutesAgo: 50 }));
    await switchOn(chain, 'thermostat-elsewhere');
    const held = await settled('device.held', 'thermostat-elsewhere', 4);
    expect(chain.outcomeOf(held)?.data).toMatchObject({
      hubAccess: 'pending',
      assignedHub: 'hub.example.com',
    });
    expect(app.logged.some((line) => line.includes('is no IoT hub that this app has access to'))).toBe(true);
  });

  it.each([3, 8])(
    '%i instances close and open a device as the last word says, in any order of deliveries',
    async (count) => {
      const apps: AppInstance[] = Array.from({ length: count }, () => chain.startInstance({ env: fast }));
      const ids = Array.from({ length: 12 }, (_, index) => `thermostat-many-${index}`);
      await chain.settle(...ids.map((id) => manufactured(id, {}, { minutesAgo: 50 })));
      await Promise.all(ids.map((id) => switchOn(chain, id)));
      await chain.control('faults', 'PUT', [
        { operation: 'HubIdentity_*', status: 503, rate: 0.05, seed: count },
        { operation: 'HubIdentity_CreateOrUpdate', reset: 'after', rate: 0.1, seed: count + 1 },
      ]);
      const events = ids.flatMap((id, index) =>
        Array.from({ length: 6 }, (_, turn) =>
          event((turn + index) % 2 === 0 ? 'device.released' : 'device.held', id, undefined, {
            minutesAgo: 30 - turn,
          }),
        ),
      );
      await chain.sendToQueue([...events, ...[...events].reverse()]);
      await eventually(async () => {
        chain.advance(5_000);
        return events.every(hasEnded);
      }, 'all end');
      await chain.control('faults', 'PUT', []);
      await eventually(async () => {
        chain.advance(5 * 60_000);
        const statuses = await statusesOf(ids);
        return statuses.every((status, index) => status === (index % 2 === 0 ? 'disabled' : 'enabled'));
      }, 'the hubs agree');
      expect(apps.flatMap(({ thrown }) => thrown)).toEqual([]);
    },
  );
});
