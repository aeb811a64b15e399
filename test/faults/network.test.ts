import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { UnavailableError } from '../../src/dps/errors.ts';
import { Chain, eventually } from '../support/chain.ts';
import { manufactured } from '../support/events.ts';
import { BadNetwork, type Conditions } from '../support/network.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, signedAnew } from '../support/proxy.ts';

describe('between the app and DPS', () => {
  let chain: Chain;
  let network: BadNetwork;
  /** Behind the network: signs for the emulator, whose name is another. */
  let proxy: FaultyProxy;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfDps(chain);
    const { hostname: host, port } = new URL(proxy.url);
    network = await BadNetwork.start({ host, port: Number(port) });
    chain.startInstance({ env: { DPS_CONNECTION_STRING: connectionString() } });
  });
  afterAll(async () => {
    await chain?.close();
    await network?.close();
    await proxy?.close();
  });
  afterEach(() => {
    network.conditions = {};
  });

  const connectionString = () => signedAnew(network.host);

  async function madeOnce(name: string, conditions: Conditions): Promise<void> {
    network.conditions = conditions;
    const born = [1, 2, 3].map((index) => manufactured(`thermostat-${name}-${index}`, {}, { minutesAgo: 9 }));
    await chain.sendToQueue(born);
    for (let step = 0; step < 40 && !born.every((each) => chain.outcomeOf(each)); step++) {
      await chain.ended(born, 400).catch(() => undefined);
      // What gave up waits; locks are renewed by this clock, so it is turned in small steps.
      chain.advance(1_000);
    }
    await chain.ended(born, 5_000);
    for (const each of born) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
      const { createdDateTimeUtc, lastUpdatedDateTimeUtc } = await chain.dps.individualEnrollments.get(
        each.subject,
      );
      expect(lastUpdatedDateTimeUtc, 'written once').toBe(createdDateTimeUtc);
    }
    expect(chain.instances.flatMap(({ thrown }) => thrown)).toEqual([]);
  }

  it.each([
    ['5 s of latency', { latencyInMs: 5_000 }],
    ['1 kB a second', { bytesPerSecond: 1_000 }],
    ['answers in slices of one byte', { sliceBytes: 1 }],
  ])('%s are waited for', async (what, conditions) => {
    const { connections } = network;
    await madeOnce(what.replace(/\W/g, '').toLowerCase(), conditions);
    // An answer that is slow is no reason to ask again on another connection.
    expect(network.connections - connections).toBeLessThanOrEqual(8);
  });

  it.each([
    ['before an answer', 0],
    ['in the head of an answer', 60],
    ['in the body of an answer', 320],
  ])('a connection that is half closed %s is a lost answer, and the next one serves', async (what, bytes) => {
    // Not on a connection that was made before.
    for (const instance of chain.instances.splice(0)) {
      await instance.close();
    }
    network.conditions = { halfCloseAfterBytes: bytes };
    chain.startInstance({ env: { DPS_CONNECTION_STRING: connectionString() } });
    const sent = manufactured(`thermostat-half-${bytes}`);
    const { connections } = network;
    await chain.sendToQueue([sent]);
    await eventually(async () => network.connections >= connections + 2, `it is tried again after ${what}`);
    await madeOnce(`half-after-${bytes}`, {});
    await chain.ended([sent]);
    const stored = await chain.dps.individualEnrollments.get(sent.subject);
    expect(stored.lastUpdatedDateTimeUtc, 'written once').toBe(stored.createdDateTimeUtc);
  });

  it.each([
    ['that does not come', { latencyInMs: 20_000 }],
    ['that comes too slowly', { bytesPerSecond: 40 }],
  ])('an answer %s is given up when the time that was set is over', async (_, conditions) => {
    network.conditions = conditions;
    const failures: (string | undefined)[] = [];
    await using client = disposable(
      DeviceProvisioningClient.fromConnectionString(connectionString(), {
        retryOptions: { maxRetries: 0 },
        requestTimeoutInMs: 300,
        onRequest: ({ failureCode }) => failures.push(failureCode),
      }),
    );
    const before = network.delivered;
    await expect(client.individualEnrollments.get('thermostat-5soflatency-1')).rejects.toBeInstanceOf(
      UnavailableError,
    );
    expect(failures).toEqual([expect.stringMatching(/TIMEOUT/)]);
    expect(network.delivered - before, 'the answer was not there yet').toBeLessThan(600);
  });

  it('leaves no connection and no socket behind, whatever became of its answers', async () => {
    const worked = async () => {
      for (const instance of chain.instances.splice(0)) {
        await instance.close();
      }
      await eventually(async () => network.open === 0, 'the app has closed its connections');
      network.conditions = { halfCloseAfterBytes: 320 };
      chain.startInstance({ env: { DPS_CONNECTION_STRING: connectionString() } });
      const sent = manufactured(`thermostat-socket-${++devices}`);
      const { connections } = network;
      await chain.sendToQueue([sent]);
      await eventually(async () => network.connections > connections + 1, 'answers were lost');
      network.conditions = {};
      await chain.ended([sent]);
    };
    let devices = 0;
    await worked();
    await worked();
    const sockets = openSockets();
    for (let count = 0; count < 3; count++) {
      await worked();
    }
    // Pools of tables and proxies hold some open for a while: they may be fewer by now.
    await eventually(async () => openSockets() <= sockets, 'there are no more sockets than before');
  });
});

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((each) => /^(TCPSocket|TLS)Wrap$/.test(each)).length;
}

function disposable(client: DeviceProvisioningClient): DeviceProvisioningClient & AsyncDisposable {
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}
