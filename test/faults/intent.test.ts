import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { emptyState, type SubjectState } from '../../src/enrollment/ledger/subject-state.ts';
import type { Request } from '../../src/http/request.ts';
import { settingsFor } from '../../src/local/stack/endpoints.ts';
import { Services } from '../../src/services.ts';
import { readSettings } from '../../src/settings.ts';
import type { BusCalls } from '../support/altered-services.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured, type TestEvent } from '../support/events.ts';
import { ProfilesFile } from '../support/profiles-file.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, type SeenRequest, throughProxy } from '../support/proxy.ts';
import { allQuiet, endedInTurnedTime, requestsSoFar } from '../support/queue.ts';

describe('what the ledger says before, and whatever happens after', () => {
  let chain: Chain;
  let proxy: FaultyProxy;
  let fails: (request: SeenRequest) => boolean = () => false;
  let failing: (() => Promise<void>) | undefined;
  const calls: BusCalls = {};
  const profiles = new ProfilesFile({
    product: 'discontinued-1',
    enrollment: 'individual',
    attestation: 'symmetricKey',
  });
  let yesterday: Services;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    proxy = await proxyOfDps(chain, {
      fate: (request) => (fails(request) ? 'cut-before' : 'pass'),
      struck: async () => failing?.(),
    });
    const env = { DPS_CONNECTION_STRING: throughProxy(proxy) };
    chain.startInstance({ renewsLocks: false, env, altered: { bus: calls } });
    // Only its HTTP side is used: it has the profiles of yesterday.
    yesterday = new Services(
      readSettings({
        ...settingsFor(chain.stack.endpoints),
        ENROLLMENT_PROFILES: profiles.path,
      }),
      { clock: chain.clock },
    );
  });
  afterAll(async () => {
    await yesterday?.close();
    await chain?.close();
    await proxy?.close();
    profiles.remove();
  });

  const services = () => chain.instances[0]!.services;
  const subjectOf = ({ type, subject }: TestEvent) =>
    ({ kind: type.startsWith('batch') ? 'batch' : 'device', id: subject }) as const;
  const record = (sent: TestEvent) => chain.recordOf(sent);
  const isWrite = ({ method, path }: SeenRequest) => method === 'PUT' || /\/enrollments\?/.test(path);

  async function settled(...events: readonly TestEvent[]): Promise<void> {
    await endedInTurnedTime(chain, events, { stepInMs: 2_000 });
    expect(chain.instances.flatMap(({ thrown }) => thrown)).toEqual([]);
  }

  it.each([
    ['a device is made', manufactured('thermostat-intent'), false],
    ['a batch is started', event('batch.started', 'batch-intent', { product: 'beacon-b2' }), false],
    ['a member is kept out', event('device.held', 'beacon-intent', undefined, { minutesAgo: 1 }), true],
  ])(
    'when %s, that something may be in DPS is written down before DPS is told',
    async (_, sent, isMember) => {
      if (isMember) {
        await chain.settle(manufactured(sent.subject, { product: 'beacon-b2', batch: 'batch-intent' }));
      }
      const states: (SubjectState | undefined)[] = [];
      const statuses: unknown[] = [];
      let left = 1;
      fails = (request) => isWrite(request) && left-- > 0;
      failing = async () => {
        states.push(await services().ledger.readState(subjectOf(sent)));
        statuses.push((await record(sent))?.status);
      };
      await chain.sendToQueue([sent]);
      await settled(sent);
      fails = () => false;
      expect(states).toMatchObject([{ mayExist: true }]);
      expect(states[0]?.pending).toMatchObject([{ key: keyOf(sent) }]);
      expect(statuses).toEqual(['processing']);
      expect(await services().ledger.readState(subjectOf(sent))).toMatchObject({ mayExist: true });
      expect(await record(sent)).toMatchObject({ status: 'succeeded' });
    },
  );

  const post = (sent: TestEvent, { intake } = services()) => {
    const headers = new Headers({ 'content-type': 'application/cloudevents+json' });
    const body = async () => new TextEncoder().encode(JSON.stringify(sent));
    const request = { method: 'POST', url: 'http://localhost/api/events', headers, body };
    return intake.accept({ ...request, query: new URLSearchParams(), params: {} } as Request);
  };

  it('an announced event is accepted from its 202 on, has no effect before the queue brings it, and then one', async () => {
    const sent = manufactured('thermostat-announced');
    const { bus, ledger, background } = services();
    const held: Parameters<typeof bus.queueEvents>[0][number][] = [];
    calls.queueEvents = async (events) => void held.push(...events);
    expect(await post(sent)).toMatchObject({ status: 202 });
    expect(await record(sent)).toMatchObject({ status: 'accepted', attempts: 0 });
    // Whoever looks after the device meanwhile does not know what the event says, and must not end it.
    const state = (await ledger.readState(subjectOf(sent))) ?? emptyState;
    await background.recover(subjectOf(sent), state);
    await allQuiet(chain);
    expect(await record(sent)).toMatchObject({ status: 'accepted' });
    expect((await ledger.readState(subjectOf(sent)))?.registers.definitions ?? []).toEqual([]);
    expect(chain.outcomeOf(sent)).toBeUndefined();
    calls.queueEvents = undefined;
    await bus.queueEvents(held);
    await settled(sent);
    const ended = await record(sent);
    expect(ended).toMatchObject({ status: 'succeeded', attempts: 1 });
    expect(await post(sent)).toMatchObject({ status: 202 });
    await allQuiet(chain);
    expect(await record(sent), 'announced once more').toEqual(ended);
    const { createdDateTimeUtc, lastUpdatedDateTimeUtc } = await chain.dps.individualEnrollments.get(
      sent.subject,
    );
    expect(lastUpdatedDateTimeUtc).toBe(createdDateTimeUtc);
  });

  it('an announced event that waits for DPS is retrying, not accepted, and one that is wrong by now is rejected once', async () => {
    const waits = manufactured('thermostat-announced-waits');
    fails = isWrite;
    failing = undefined;
    expect(await post(waits)).toMatchObject({ status: 202 });
    await eventually(async () => {
      chain.advance(500);
      return (await record(waits))?.status === 'retrying';
    }, 'it waits');
    fails = () => false;
    await settled(waits);
    const late = event('device.manufactured', 'discontinued-announced-late', { product: 'discontinued-1' });
    expect(await post(late, yesterday)).toMatchObject({ status: 202 });
    await settled(late);
    expect(await record(late)).toMatchObject({ status: 'rejected', reason: 'unknown-product' });
    const listed: string[] = [];
    for await (const { event: each } of services().rejectedEvents.all({})) {
      listed.push(each.key);
    }
    expect(listed.filter((each) => each === keyOf(late))).toHaveLength(1);
  });

  it('a message whose lock is lost between its outcome and its end comes again, to no effect', async () => {
    const sent = manufactured('thermostat-lock-lost', {}, { minutesAgo: 5 });
    let published = 0;
    calls.publish = async (pass) => {
      await pass();
      // By now the lock is over, and another delivery is on its way.
      if (++published === 1) {
        chain.advance(61_000);
      }
    };
    await chain.sendToQueue([sent]);
    await eventually(async () => published >= 2, 'it is delivered again');
    await allQuiet(chain);
    calls.publish = undefined;
    expect(await record(sent)).toMatchObject({ status: 'succeeded', attempts: 1 });
    const { createdDateTimeUtc, lastUpdatedDateTimeUtc } = await chain.dps.individualEnrollments.get(
      sent.subject,
    );
    expect(lastUpdatedDateTimeUtc).toBe(createdDateTimeUtc);
    expect(chain.stack.serviceBus.counts('manufacturing-events')).toMatchObject({ active: 0, deadLetter: 0 });
  });

  it('an event that is rejected late leaves what newer ones made of its device as it is', async () => {
    const id = 'thermostat-rejected-late';
    const sent = manufactured(id, { tags: { a: 1 } }, { minutesAgo: 5 });
    await chain.sendToQueue([sent, event('device.held', id, undefined, { minutesAgo: 4 })]);
    await settled(sent);
    await allQuiet(chain);
    const before = await services().ledger.readState(subjectOf(sent));
    const calls = await requestsSoFar(chain);
    const late = [
      manufactured(id, { product: 'toaster' }, { minutesAgo: 9 }),
      event('device.changed', id, { product: 'sensor-1' }, { minutesAgo: 8 }),
      event('device.scrapt', id, undefined, { minutesAgo: 1 }),
    ];
    await chain.sendToQueue(late);
    await settled(...late);
    for (const each of late) {
      expect(chain.outcomeOf(each)?.type).toBe('enrollment.rejected');
    }
    expect(await services().ledger.readState(subjectOf(sent))).toEqual(before);
    expect(await requestsSoFar(chain)).toBe(calls);
  });
});
