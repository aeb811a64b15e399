import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type Fate, type FaultyProxy, type SeenRequest, throughProxy } from '../support/proxy.ts';

/** What each class of failure means to an event, whether it comes as the answer to a bulk or to one item. */
const meanings: readonly (readonly [what: number | string, meaning: 'waits' | 'rejected'])[] = [
  [400, 'rejected'],
  [405, 'rejected'],
  [406, 'rejected'],
  [413, 'rejected'],
  [415, 'rejected'],
  [422, 'rejected'],
  [302, 'waits'],
  [401, 'waits'],
  [402, 'waits'],
  [403, 'waits'],
  [407, 'waits'],
  [408, 'waits'],
  [418, 'waits'],
  [429, 'waits'],
  [451, 'waits'],
  [500, 'waits'],
  [502, 'waits'],
  [503, 'waits'],
  [504, 'waits'],
  ['an answer that is no JSON', 'waits'],
  ['a connection that breaks before the request', 'waits'],
  ['a connection that breaks after the request', 'waits'],
];

describe('what DPS, or somebody between here and DPS, answers', () => {
  let chain: Chain;
  let proxy: FaultyProxy;
  let fate: (request: SeenRequest) => Fate = () => 'pass';
  let answer: (request: SeenRequest) => { status: number; body: string } | undefined = () => undefined;
  let slices = false;
  const isWrite = ({ method, path }: SeenRequest) =>
    method === 'PUT' || (method === 'POST' && /\/enrollments\?/.test(path));

  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfDps(chain, {
      fate: (request) => fate(request),
      answer: (request) => answer(request),
      answersBy: async (body, response) => {
        if (!slices) {
          return void response.end(body);
        }
        for (const byte of body) {
          response.write(Buffer.of(byte));
          await new Promise(setImmediate);
        }
        response.end();
      },
    });
    chain.startInstance({ env: { DPS_CONNECTION_STRING: throughProxy(proxy) } });
  });
  afterAll(async () => {
    await chain?.close();
    expect(await proxy.openConnections, 'connections that nobody closed').toBe(0);
    await proxy.close();
  });

  async function settled(events: readonly TestEvent[]): Promise<void> {
    for (let step = 0; step < 1_000 && !events.every((each) => chain.outcomeOf(each)); step++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      chain.advance(5_000);
    }
    await chain.ended(events, 5_000);
    expect(chain.stack.serviceBus.counts('manufacturing-events').deadLetter).toBe(0);
    expect(chain.instances.flatMap(({ thrown }) => thrown)).toEqual([]);
  }

  it.each(meanings)('%s: the event %s', { timeout: 30_000 }, async (what, meaning) => {
    const name = String(what).replace(/\W/g, '').toLowerCase();
    const alone = event('batch.started', `batch-a-${name}`, { product: 'beacon-b2' });
    const together = Array.from({ length: 5 }, (_, index) => manufactured(`thermostat-a-${name}-${index}`));
    let left = 6;
    const strikes = (request: SeenRequest) => isWrite(request) && (meaning === 'rejected' || left-- > 0);
    if (typeof what === 'number') {
      answer = (request) =>
        strikes(request)
          ? {
              status: what,
              body: JSON.stringify({ errorCode: what * 1_000 + 4, message: 'No.', trackingId: 't-1' }),
            }
          : undefined;
    } else if (what.includes('JSON')) {
      answer = (request) => (strikes(request) ? { status: 200, body: '<p>' } : undefined);
    } else {
      fate = (request) => (!strikes(request) ? 'pass' : what.includes('before') ? 'cut-before' : 'cut-after');
    }
    await chain.sendToQueue([alone, ...together]);
    await settled([alone, ...together]);
    answer = () => undefined;
    fate = () => 'pass';
    for (const each of [alone, ...together]) {
      const outcome = chain.outcomeOf(each);
      if (meaning === 'waits') {
        expect(outcome?.type, each.subject).toBe('enrollment.succeeded');
      } else {
        expect(outcome?.data.reason, each.subject).toBe('dps-rejected');
      }
    }
    const made = [...(await chain.enrollments()).keys()].filter((id) =>
      id.startsWith(`thermostat-a-${name}-`),
    );
    expect(made).toHaveLength(meaning === 'waits' ? together.length : 0);
  });

  it.each([
    ['fails without saying which item did', { isSuccessful: false, errors: [] }],
    [
      'names an item that was not in it',
      { isSuccessful: false, errors: [{ registrationId: 'nobody', errorCode: 400004, errorStatus: '' }] },
    ],
    ['names no item', { isSuccessful: false, errors: [{ errorCode: 500000, errorStatus: 'x' }] }],
    [
      'throttles its items',
      {
        isSuccessful: false,
        errors: ['0', '1'].map((each) => ({
          registrationId: `thermostat-bulk-${each}`,
          errorCode: 429001,
          errorStatus: '',
        })),
      },
    ],
  ])('a bulk that %s makes no event succeed that did not', async (what, body) => {
    const name = what.replace(/\W/g, '').slice(0, 12);
    const together = Array.from({ length: 12 }, (_, index) => manufactured(`thermostat-${name}-${index}`));
    answer = ({ method, path }) => {
      if (method !== 'POST' || !/\/enrollments\?/.test(path)) {
        return undefined;
      }
      return {
        status: 200,
        body: JSON.stringify(body).replaceAll('thermostat-bulk-', `thermostat-${name}-`),
      };
    };
    await chain.sendToQueue(together);
    // Those that the answer does not name would count as made: only the throttled ones are known here.
    const expected = what.startsWith('throttles') ? together.slice(0, 2) : together;
    await settled(together);
    answer = () => undefined;
    const made = await chain.enrollments();
    for (const { subject } of expected) {
      expect(made.has(subject), subject).toBe(true);
    }
  });

  it('answers that come byte by byte are as good as others', async () => {
    slices = true;
    const together = Array.from({ length: 12 }, (_, index) => manufactured(`thermostat-sliced-${index}`));
    await chain.sendToQueue(together);
    await settled(together);
    slices = false;
    for (const each of together) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
    }
  });

  it('a DPS that cannot be reached, found or trusted keeps events retrying, and ends none', async () => {
    const { port: tlsPort } = new URL(chain.stack.endpoints.dps.tlsEndpoint);
    const access = ';SharedAccessKeyName=a;SharedAccessKey=AAAA';
    const waiting: TestEvent[] = [];
    for (const instance of chain.instances.splice(0)) {
      await instance.close();
    }
    for (const [name, host] of [
      ['refused', `127.0.0.1:${await closedPort()}${access};UseDevelopmentEmulator=true`],
      ['unknown', `no-such-host.invalid${access}`],
      ['untrusted', `localhost:${tlsPort}${access}`],
    ] as const) {
      const sent = manufactured(`thermostat-${name}`);
      waiting.push(sent);
      const instance = chain.startInstance({ env: { DPS_CONNECTION_STRING: `HostName=${host}` } });
      await chain.sendToQueue([sent]);
      await eventually(async () => {
        chain.advance(2_000);
        const record = await instance.services.ledger.readEvent(
          { kind: 'device', id: sent.subject },
          keyOf(sent),
        );
        return record?.status === 'retrying';
      }, `${name}: the event waits`);
      expect(await instance.services.health()).toMatchObject({ status: 503 });
      chain.instances.splice(0);
      await instance.close();
    }
    chain.startInstance();
    await settled(waiting);
    for (const each of waiting) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.succeeded');
    }
  });
});

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 1;
}
