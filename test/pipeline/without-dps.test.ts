import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QuotaUse } from '../../src/enrollment/dps-access/quota-use.ts';
import type { Request } from '../../src/http/request.ts';
import { Chain } from '../support/chain.ts';
import { manufactured } from '../support/events.ts';
import { proxyOfDps, proxyOfTables } from '../support/proxies-of-chain.ts';
import { tablesThrough, throughProxy } from '../support/proxy.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await Chain.start();
});
afterAll(() => chain?.close());

describe('While DPS does not answer', () => {
  const sent = manufactured('thermostat-away', { labels: { plant: 'brno' } });

  it.each([429, 503])(
    'with %i, a device’s JSON tells what the events say, and what is not known',
    async (status) => {
      await chain.settle(sent);
      await chain.control('faults', 'PUT', [{ operation: '*', status, retryAfter: '1' }]);
      try {
        const response = await chain.request('/api/devices/thermostat-away');
        expect(response.status).toBe(200);
        const document = (await response.json()) as Record<string, unknown>;
        expect(document).toMatchObject({
          shouldBe: { product: 'thermostat-g2', labels: { plant: 'brno' } },
          notKnown: { members: ['is', 'did'], detail: expect.stringContaining('DPS') },
          events: [{ status: 'succeeded' }],
        });
        expect(document).not.toHaveProperty('is');
        const unknown = await chain.request('/api/devices/thermostat-unheard-of');
        expect([unknown.status, Number(unknown.headers.get('retry-after')) >= 1]).toEqual([503, true]);
      } finally {
        await chain.control('faults', 'PUT', []);
      }
    },
  );

  it('a page and the health check go through the quota and the circuit breaker', async () => {
    const seen: string[] = [];
    const proxy = await proxyOfDps(chain, {
      fate: ({ method, path }) => {
        seen.push(`${method} ${path}`);
        return 'pass';
      },
    });
    // DPS under another name: its quota is nobody else's.
    const own = chain.startInstance({
      env: { DPS_CONNECTION_STRING: throughProxy(proxy), DPS_OPERATIONS_PER_MINUTE: '600' },
    }).services;
    const request = { headers: new Headers(), query: new URLSearchParams() } as unknown as Request;
    const show = () => own.subjects.show('device', 'thermostat-away', request);
    expect([(await show()).status, (await own.health()).status]).toEqual([200, 200]);
    expect(seen).toHaveLength(4);
    const quota = new QuotaUse(own.table('quota'), new URL(proxy.url).host, 600, own.clock);
    expect(await quota.read()).toMatchObject({ used: 4 });
    await chain.control('faults', 'PUT', [{ operation: '*', status: 401 }]);
    await show();
    await chain.control('faults', 'PUT', []);
    seen.length = 0;
    expect(JSON.parse((await show()).body ?? '')).toHaveProperty('notKnown');
    expect((await own.health()).status).toBe(503);
    expect(seen, 'the circuit is open').toEqual([]);
    await proxy.close();
  });
});

describe('While Table Storage hangs', () => {
  it('the health check says so within its 5 seconds', async () => {
    const { connectionString } = chain.stack.endpoints.tables;
    const tables = await proxyOfTables(chain, {
      before: () => new Promise(() => {}),
    });
    const instance = chain.startInstance({ atOnce: 1, env: tablesThrough(tables, connectionString) });
    const answer = await instance.services.health();
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body ?? '')).toMatchObject({
      status: 'unhealthy',
      checks: { tables: { ok: false, detail: expect.stringContaining('5 seconds') } },
    });
    await tables.close();
  });
});
