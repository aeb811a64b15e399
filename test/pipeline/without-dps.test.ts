import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Request } from '../../src/http/request.ts';
import { Table } from '../../src/storage/tables.ts';
import { Chain } from '../support/chain.ts';
import { manufactured } from '../support/events.ts';

/** One of the app's instances runs in this process, so that its parts can be made to fail. */
let chain: Chain;
const services = () => chain.instances[0]!.services;
beforeAll(async () => {
  chain = await Chain.start();
  chain.startInstance();
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
    const calls: string[] = [];
    const { throttledDps } = services();
    const call = throttledDps.call.bind(throttledDps);
    throttledDps.call = ((caller, deadline, operation, options = {}) => {
      calls.push(options.access ?? 'read');
      return call(caller, deadline, operation, options);
    }) as typeof throttledDps.call;
    const before = await total();
    const request = { headers: new Headers(), query: new URLSearchParams() } as unknown as Request;
    expect((await services().subjects.show('device', 'thermostat-away', request)).status).toBe(200);
    expect((await services().health()).status).toBe(200);
    expect(calls).toHaveLength((await total()) - before);
    expect(calls).toEqual(['read', 'read', 'read', 'write']);
    throttledDps.call = call;
  });

  async function total(): Promise<number> {
    const { requests } = await chain.stats();
    return Object.values(requests)
      .flatMap((statuses) => Object.values(statuses))
      .reduce((sum, count) => sum + count, 0);
  }
});

describe('While Table Storage hangs', () => {
  it('the health check says so within its 5 seconds', async () => {
    const page = Table.prototype.page;
    Table.prototype.page = () => new Promise(() => {});
    try {
      const answer = await services().health();
      expect(answer.status).toBe(503);
      expect(JSON.parse(answer.body ?? '')).toMatchObject({
        status: 'unhealthy',
        checks: { tables: { ok: false, detail: expect.stringContaining('5 seconds') } },
      });
    } finally {
      Table.prototype.page = page;
    }
  });
});
