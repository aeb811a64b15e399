import { describe, expect, it } from 'vitest';

import { endorsementKeyOf } from '../support/endorsement-key.ts';
import { keyOf, type TestEvent } from '../support/events.ts';
import { checkEnd, hasRegistered } from './histories.ts';
import { World, type WorldOptions } from './world.ts';

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const keys = { attestation: { type: 'symmetricKey', primaryKey: key(1), secondaryKey: key(2) } };
let ids = 0;

function of(type: string, minute: number, data?: object, subject = 'thermostat-1'): TestEvent {
  const time = `2026-11-20T10:0${minute}:00Z`;
  const id = `e${++ids}`;
  return { specversion: '1.0', id, source: '/s', type, subject, time, ...(data ? { data } : {}) };
}
const made = (minute: number, data: object = {}) =>
  of('device.manufactured', minute, { product: 'thermostat-g2', tags: { order: minute }, ...data });

function world(options: Partial<WorldOptions> = {}): World {
  return new World({ seed: 1, faults: 0, ...options });
}

async function endsWell(it: World, events: readonly TestEvent[]): Promise<void> {
  await it.run();
  checkEnd(it, events);
}

describe('what has gone wrong in other versions of this algorithm', () => {
  it('a redelivery knows the lease of its own message, and goes on with it', async () => {
    const w = world();
    const event = made(1);
    w.send(event, 'm');
    await w.step(/^A gets m$/);
    await w.until('A', /creates/);
    await w.step(/^A is killed/);
    await w.step(/lock of m is over/);
    await endsWell(w, [event]);
  });

  it('a stale delivery does not take the lease from its redelivery', async () => {
    const w = world();
    const event = made(1);
    w.send(event, 'm');
    await w.step(/^A gets m$/);
    await w.step(/lock of m is over/);
    await w.step(/^B gets m$/);
    await w.until('B', /creates/);
    // The stale one finds that it has lost, and leaves; then its redelivery dies.
    await w.until('A', /completes m/);
    await w.step(/^A completes m/);
    await w.step(/^B is killed/);
    await w.step(/lock of m is over/);
    await endsWell(w, [event]);
  });

  it('a redelivery that reads the state before, and the event after it was merged, reads the state again', async () => {
    const w = world();
    const event = of('device.held', 1);
    w.send(event, 'm');
    await w.step(/^A gets m$/);
    await w.step(/lock of m is over/);
    await w.step(/^B gets m$/);
    await w.step(/^B reads the state/);
    await w.until('A', /gets a token/);
    await w.until('B', /completes m|writes/);
    await w.step(/^B (completes m|writes)/);
    await w.step(/^A is killed/);
    await endsWell(w, [event]);
  });

  it.each(['done, answer lost', 'not done'])(
    'a transaction whose answer is lost (%s) is no loss',
    async (fate) => {
      for (const place of [0, 1]) {
        const w = world();
        const event = made(1);
        w.send(event, 'm');
        await w.step(/^A gets m$/);
        for (let count = 0; count < place; count++) {
          await w.until('A', /writes the ledger/);
          await w.step(/^A writes the ledger$/);
        }
        await w.until('A', /writes the ledger/);
        await w.step(new RegExp(`^A writes the ledger: ${fate}`));
        await endsWell(w, [event]);
      }
    },
  );

  it('an update of a stalled holder does not come after that of the one that took over', async () => {
    const w = world();
    const [first, changed] = [made(1), made(2)];
    w.send(first, 'm1');
    await w.run();
    w.send(changed, 'm2');
    await w.step(/^A gets m2$/);
    await w.until('A', /updates/);
    await w.step(/lock of m2 is over/);
    await w.step(/^B gets m2$/);
    await w.until('B', /completes m2/);
    const { enrollments } = w.dps;
    const etag = enrollments.get('thermostat-1')?.etag;
    await w.step(/^A updates$/);
    expect(enrollments.get('thermostat-1')?.etag, 'the fence keeps it out').toBe(etag);
    await endsWell(w, [first, changed]);
  });

  it('where DPS looks right already, it is written all the same, so that a stalled update comes too late', async () => {
    const w = world();
    const [first, changed, back] = [made(1), made(2), made(3, { tags: { order: 1 } })];
    w.send(first, 'm1');
    await w.run();
    w.send(changed, 'm2');
    await w.step(/^A gets m2$/);
    await w.until('A', /updates/);
    w.send(back, 'm3');
    await w.step(/^B gets m3$/);
    await w.until('B', /completes m3/);
    await w.step(/^B completes m3/);
    await w.step(/lock of m2 is over/);
    await w.step(/^C gets m2$/);
    await w.until('C', /completes m2/);
    await w.step(/^C completes m2/);
    const { enrollments } = w.dps;
    const etag = enrollments.get('thermostat-1')?.etag;
    await w.step(/^A updates$/);
    expect(enrollments.get('thermostat-1')?.etag, 'the fence keeps it out').toBe(etag);
    await endsWell(w, [first, changed, back]);
  });

  it('a creation that comes after the device was scrapped is found by the look', async () => {
    const w = world();
    const [first, scrapped] = [made(1), of('device.scrapped', 2)];
    w.dps.mayGetNewKeys.add('thermostat-1');
    w.send(first, 'm1');
    await w.step(/^A gets m1$/);
    await w.until('A', /creates/);
    await w.step(/^A creates: answer lost/);
    await w.until('A', /^A creates$/);
    await w.step(/^A creates$/);
    w.send(scrapped, 'm2');
    await w.step(/^B gets m2$/);
    for (let count = 0; w.outcomes.size < 2 && count < 500; count++) {
      const next = w
        .options()
        .find(({ name }) => /^[AB] /.test(name) && !/gets|killed/.test(name.slice(2, 6)));
      await w.take(next ?? w.options()[0]!);
    }
    const late = w.options().find(({ name }) => name.startsWith('lands: '));
    await w.take(late!);
    expect(w.dps.enrollments.has('thermostat-1'), 'it has come back').toBe(true);
    await endsWell(w, [first, scrapped]);
  });

  it('a hold and a release without a definition leave nothing behind', async () => {
    const w = world();
    const [held, released] = [of('device.held', 1), of('device.released', 2)];
    w.send(held, 'm1');
    await w.run();
    expect(w.dps.enrollments.get('thermostat-1')?.provisioningStatus).toBe('disabled');
    w.send(released, 'm2');
    await endsWell(w, [held, released]);
    expect(w.dps.enrollments.size).toBe(0);
  });

  it('a hold of one who stalls that comes after the release is found by the look, and undone', async () => {
    const w = world();
    const [held, released] = [of('device.held', 1), of('device.released', 2)];
    w.send(held, 'h');
    await w.step(/^A gets h$/);
    await w.until('A', /creates/);
    w.send(released, 'r');
    await w.step(/^B gets r$/);
    await w.until('B', /completes r/);
    await w.step(/^B completes r/);
    await w.step(/lock of h is over/);
    await w.step(/^C gets h$/);
    await w.until('C', /completes h/);
    await w.step(/^C completes h/);
    await w.step(/^A creates$/);
    expect(w.dps.enrollments.has('thermostat-1'), 'it has come back').toBe(true);
    await endsWell(w, [held, released]);
    expect(w.dps.enrollments.size).toBe(0);
  });

  it('what DPS rejects when its message is gone is on record with its body', async () => {
    const w = world();
    const meter = (minute: number, tags: object) => ({
      ...made(minute, {
        product: 'meter-e1',
        tags,
        attestation: { type: 'tpm', endorsementKey: endorsementKeyOf(1) },
      }),
      subject: 'meter-1',
    });
    const [good, bad] = [meter(1, { order: 1 }), meter(2, { bad: true })];
    w.send(good, 'm1');
    w.send(bad, 'm2');
    await w.step(/^A gets m1$/);
    await w.until('A', /creates/);
    await w.step(/^B gets m2$/);
    await w.until('B', /completes m2/);
    await w.step(/^B completes m2/);
    await endsWell(w, [good, bad]);
    expect(w.noted.get(keyOf(bad))).toContain('"bad":true');
  });

  it('an event with keys that comes while another one holds applies them in the end', async () => {
    const w = world();
    const [first, withKeys] = [made(1), made(2, keys)];
    w.send(first, 'm1');
    w.send(withKeys, 'm2');
    w.send(withKeys, 'm2copy');
    await w.step(/^A gets m1$/);
    await w.until('A', /creates/);
    await w.step(/^B gets m2$/);
    await w.step(/^C gets m2copy$/);
    await endsWell(w, [first, withKeys]);
  });

  it('a stalled retry that takes what was parked, and then stops, leaves somebody to go on', async () => {
    const w = world();
    const event = made(1);
    w.send(event, 'm');
    await w.step(/^A gets m$/);
    await w.until('A', /gets a token/);
    w.recover('device', 'thermostat-1', true);
    await w.step(/^B gets recovery/);
    await w.step(/lock of recovery.* is over/);
    await w.step(/^C gets recovery/);
    await w.until('C', /completes recovery/);
    await w.step(/^C completes recovery/);
    await w.step(/^A gets a token: none left/);
    await w.until('A', /completes m/);
    await w.step(/^A completes m/);
    await w.until('B', /creates/);
    await w.step(/^m'2 is due/);
    await w.step(/^A gets m'2/);
    await w.until('A', /completes m'2/);
    await w.step(/^A completes m'2/);
    await w.step(/^B is killed/);
    await endsWell(w, [event]);
  });

  it('nobody completes without the keys that only a message holds, whose holder stopped', async () => {
    const w = world();
    const withKeys = made(1, keys);
    w.send(withKeys, 'm');
    await w.step(/^A gets m$/);
    await w.until('A', /creates/);
    await w.step(/^A is killed/);
    w.wait();
    w.recover('device', 'thermostat-1');
    await w.step(/^B gets recovery/);
    await w.until('B', /completes recovery/);
    await w.step(/^B completes recovery/);
    expect(w.dps.enrollments.size, 'other keys than the device has').toBe(0);
    await w.step(/lock of m is over/);
    await endsWell(w, [withKeys]);
  });

  it('a copy of an event with keys that ends as a dead letter takes nobody along', async () => {
    const w = world({ deliveries: 1 });
    const [first, withKeys, held] = [made(1), made(2, keys), of('device.held', 3)];
    for (const [name, event] of [
      ['m1', first],
      ['m2', withKeys],
      ['copy', withKeys],
      ['m3', held],
    ] as const) {
      w.send(event, name);
    }
    await w.step(/^A gets copy$/);
    await w.until('A', /creates/);
    await w.step(/^B gets m2$/);
    await w.until('B', /sends again|completes m2/);
    await w.step(/^A is killed/);
    await w.step(/lock of copy is over/);
    expect(w.deadLetters).toHaveLength(1);
    w.wait();
    await endsWell(w, [first, withKeys, held]);
  });
});

describe('hubs that are told by one who stops or stalls', () => {
  const held = (minute: number) => of('device.held', minute);
  const released = (minute: number) => of('device.released', minute);

  /** A device in its hub, and what has happened to it so far. */
  async function connected(...before: readonly TestEvent[]): Promise<World> {
    const w = world({ closesHubs: true });
    hasRegistered(w, 'thermostat-1');
    for (const [index, event] of before.entries()) {
      w.send(event, `before${index}`);
      await w.run();
    }
    return w;
  }

  it('a hub that was closed by one who then died is opened by the release', async () => {
    const events = [made(1), held(2), released(3)] as const;
    const w = await connected(events[0]);
    w.send(events[1], 'h');
    await w.step(/^A gets h$/);
    await w.until('A', /closes the hub/);
    await w.step(/^A closes the hub$/);
    w.send(events[2], 'r');
    await w.step(/^B gets r$/);
    await w.until('B', /completes r/);
    await w.step(/^B completes r/);
    await w.step(/^A is killed/);
    await w.step(/lock of h is over/);
    await endsWell(w, events);
  });

  it('a registration that ends after the hub was closed is found, though its record is deleted meanwhile', async () => {
    const [first, hold, returned, changed] = [made(1), held(2), of('device.returned', 3), made(4)] as const;
    const w = await connected(first);
    w.hub.registrationsLeft = 1;
    await w.step(/^thermostat-1 registers$/);
    w.send(hold, 'h');
    w.send(returned, 'r');
    await w.step(/^A gets h$/);
    await w.until('A', /updates/);
    await w.step(/^B gets r$/);
    await w.until('B', /completes r/);
    await w.step(/^B completes r/);
    await w.until('A', /closes the hub/);
    await w.step(/^A closes the hub$/);
    await w.step(/^lands: a registration/);
    await w.until('A', /deletes a registration/);
    await w.step(/^A deletes a registration$/);
    w.send(changed, 'c');
    await w.step(/^B gets c$/);
    await w.until('B', /completes c/);
    await w.step(/^B completes c/);
    await endsWell(w, [first, hold, returned, changed]);
  });

  it.each([
    ['closes', [made(1)], held(2), released(3)],
    ['opens', [made(1), held(2)], released(3), held(4)],
  ] as const)('what one who stalls %s late does not undo the last word', async (verb, before, told, last) => {
    const w = await connected(...before);
    w.send(told, 'told');
    await w.step(/^A gets told$/);
    await w.until('A', new RegExp(`${verb} the hub`));
    await w.step(/lock of told is over/);
    w.send(last, 'last');
    await w.step(/^C gets last$/);
    await w.until('C', /completes last/);
    await w.step(/^C completes last/);
    await w.step(/^B gets told$/);
    await w.until('B', /completes told/);
    const etag = w.hub.identities.get('thermostat-1')?.etag;
    await w.step(new RegExp(`^A ${verb} the hub$`));
    expect(w.hub.identities.get('thermostat-1')?.etag, 'it comes too late').toBe(etag);
    await endsWell(w, [...before, told, last]);
  });
});
