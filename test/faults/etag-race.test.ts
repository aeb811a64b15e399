import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import type { IndividualEnrollments } from '../../src/dps/enrollment-collection.ts';
import { PreconditionFailedError } from '../../src/dps/errors.ts';
import type { IndividualEnrollment } from '../../src/dps/models.ts';
import { RetryLaterError } from '../../src/enrollment/dps-access/retry-later-error.ts';
import { Chain } from '../support/chain.ts';
import { proxyOfDps } from '../support/proxies-of-chain.ts';
import { type FaultyProxy, type SeenAnswer, type SeenRequest, throughProxy } from '../support/proxy.ts';
import { Random } from '../support/random.ts';
import { reconcile } from '../support/reconciling.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1_000_000));
const changesOfEach = 1_000;
const ids = Array.from({ length: 8 }, (_, index) => `thermostat-raced-${index}`);
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');

/** What came of one request, in the order of the answers. */
type Seen =
  | { readonly by: 'us'; readonly what: 'read'; readonly id: string; readonly etag: string | undefined }
  | {
      readonly by: 'us' | 'them';
      readonly what: 'write';
      readonly id: string;
      readonly ifMatch: string | undefined;
      /** Absent: rejected with 412. A bulk operation does not say which etag it made. */
      readonly etag: string | 'made in bulk' | undefined;
    };

describe(`${changesOfEach} changes by each of two writers of the same enrollments (SEED=${seed})`, () => {
  const seen: Seen[] = [];
  const proxies: FaultyProxy[] = [];
  let chain: Chain;
  /** Somebody else's way to the same enrollments. */
  let portal: IndividualEnrollments;
  beforeAll(async () => {
    chain = await Chain.start({ apps: 0 });
    for (const by of ['us', 'them'] as const) {
      const proxy = await proxyOfDps(chain, {
        answered: watch(by, seen),
      });
      proxies.push(proxy);
    }
    const [ours, theirs] = proxies.map(throughProxy);
    chain.startInstance({ env: { DPS_CONNECTION_STRING: ours! } });
    portal = DeviceProvisioningClient.fromConnectionString(theirs!).individualEnrollments;
  });
  afterAll(async () => {
    await chain?.close();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  });

  const desired = (id: string, change: number) => ({
    kind: 'enrollment' as const,
    enrollment: {
      registrationId: id,
      attestation: { type: 'symmetricKey' as const },
      initialTwin: { tags: { change } },
    },
  });

  /** Until it succeeds, as its event would be tried again. @returns how often it gave up in between. */
  async function change(id: string, number: number): Promise<number> {
    const { services } = chain.instances[0]!;
    for (let gaveUp = 0; ; gaveUp++) {
      try {
        await reconcile(services, id, desired(id, number), { mayExist: true });
        return gaveUp;
      } catch (error) {
        if (!(error instanceof RetryLaterError)) {
          throw error;
        }
      }
    }
  }

  /** Somebody at the portal, who knows how it is done: reads, changes a member of their own, writes by etag. */
  async function foreignChange(id: string, index: number): Promise<void> {
    for (;;) {
      const { etag, registrationState: _, ...read } = await portal.get(id);
      const attestation = { type: 'symmetricKey' as const, symmetricKey: keysOf(index) };
      const optionalDeviceInformation = { visits: visitsOf(read) + 1 };
      try {
        const ifMatch = etag ?? '';
        await portal.createOrUpdate({ ...read, attestation, optionalDeviceInformation }, { ifMatch });
        return;
      } catch (error) {
        if (!(error instanceof PreconditionFailedError)) {
          throw error;
        }
      }
    }
  }

  it('loses none, decides anew after every 412, and gives none up for good', async () => {
    for (const [index, registrationId] of ids.entries()) {
      await portal.createOrUpdate({
        registrationId,
        attestation: { type: 'symmetricKey', symmetricKey: keysOf(index) },
      });
    }
    const random = new Random(seed);
    const turns = Array.from({ length: changesOfEach }, () => random.below(ids.length));
    const numbers = new Map<string, number>();
    let gaveUp = 0;
    // One writer of each kind a device, as the app sees to it; all devices at once.
    const writers = ids.flatMap((id, index) => {
      const mine = turns.filter((turn) => turn === index);
      const ours = async () => {
        for (let number = 1; number <= mine.length; number++) {
          gaveUp += await change(id, number);
          numbers.set(id, number);
        }
      };
      const theirs = async () => {
        for (const [done, turn] of mine.entries()) {
          // Who writes faster waits for the other: else there is no race in the end.
          while ((numbers.get(id) ?? 0) < done - 1) {
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
          await foreignChange(id, turn);
        }
      };
      return [ours(), theirs()];
    });
    await Promise.all(writers);

    const writes = seen.filter((each) => each.what === 'write');
    const lost = writes.filter(({ by, etag }) => by === 'us' && etag === undefined);
    expect(lost.length, 'there was a race').toBeGreaterThan(50);
    expect([...numbers.values()].reduce((sum, count) => sum + count, 0)).toBe(changesOfEach);
    const theirs = writes.filter(({ by, etag }) => by === 'them' && etag !== undefined).length;
    expect(theirs - ids.length, 'besides the creations').toBe(changesOfEach);
    // Each version was made by somebody who had read the one before it: nothing was overwritten unseen.
    for (const id of ids) {
      expectChain(writes.filter((each) => each.id === id));
    }
    for (const id of ids) {
      expectReadAgain(seen.filter((each) => each.by === 'us' && each.id === id));
    }
    // Eight lost races in a row, and the event waits outside: rare, and over some time.
    expect(gaveUp).toBeLessThan(changesOfEach / 20);
    expect(writes.filter(({ by }) => by === 'us').length).toBeLessThan(changesOfEach * 4);

    for (const [index, id] of ids.entries()) {
      await change(id, 5_000 + index);
      const last = await chain.dps.individualEnrollments.get(id);
      expect(last).toMatchObject({ initialTwin: { tags: { change: 5_000 + index } } });
      const { symmetricKey } = await chain.dps.individualEnrollments.getAttestationMechanism(id);
      expect(symmetricKey, 'the keys were never touched').toEqual(keysOf(index));
    }
  });
});

function keysOf(index: number) {
  return { primaryKey: key(index), secondaryKey: key(index + 100) };
}

function visitsOf({ optionalDeviceInformation }: Partial<IndividualEnrollment>): number {
  return Number(optionalDeviceInformation?.visits ?? 0);
}

function expectChain(writes: readonly Extract<Seen, { what: 'write' }>[]): void {
  const done = writes.filter(({ etag }) => etag !== undefined).slice(1);
  const based = new Set(done.map(({ ifMatch }) => ifMatch));
  expect(based.size, 'no two were made of one version').toBe(done.length);
}

function expectReadAgain(ours: readonly Seen[]): void {
  for (const [index, each] of ours.entries()) {
    if (each.what !== 'write') {
      continue;
    }
    const before = ours[index - 1];
    expect(before?.what, 'read before it was written').toBe('read');
    expect(each.ifMatch, 'on condition of what was read').toBe(before?.etag);
  }
}

/** Notes what a client reads and writes, from what passes on the wire. */
function watch(by: 'us' | 'them', seen: Seen[]) {
  return ({ method, path, headers, body }: SeenRequest, { status, body: answer }: SeenAnswer): void => {
    const json = answer.length > 0 ? JSON.parse(answer.toString()) : {};
    const id = /^\/enrollments\/([^?/]+)\?/.exec(path)?.[1] ?? '';
    if (method === 'POST' && /^\/enrollments\?/.test(path)) {
      const failed = new Set(json.errors?.map((each: { registrationId: string }) => each.registrationId));
      for (const { registrationId, etag: ifMatch } of JSON.parse(body.toString()).enrollments) {
        const etag = failed.has(registrationId) ? undefined : 'made in bulk';
        seen.push({ by, what: 'write', id: registrationId, ifMatch, etag });
      }
    } else if (method === 'PUT' && (status === 200 || status === 412)) {
      seen.push({ by, what: 'write', id, ifMatch: headers['if-match'], etag: json.etag });
    } else if (method === 'GET' && by === 'us') {
      seen.push({ by, what: 'read', id, etag: json.etag });
    }
  };
}
