import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Quota } from '../../src/local/dps/quota.ts';
import { deviceToken, register, startTestEmulator, symmetric, type TestEmulator } from './harness.ts';

let now = Date.now();
let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator({ now: () => now });
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

const quota = (body: unknown) => emulator.control('PUT', 'quota', body);
const get = () => emulator.call('GET', '/enrollments/none');

async function statuses(count: number, call: () => Promise<{ status: number }>): Promise<number[]> {
  const seen: number[] = [];
  for (let index = 0; index < count; index += 1) {
    seen.push((await call()).status);
  }
  return seen;
}

it('is off at the start', async () => {
  expect(new Set(await statuses(50, get))).toEqual(new Set([404]));
});

it('refuses operations over it with 429001 and the seconds to wait, and takes them then', async () => {
  await quota({ operationsPerMinute: 3 });
  expect(await statuses(4, get)).toEqual([404, 404, 404, 429]);
  now += 20_000;
  const reply = await get();
  expect(reply.json).toMatchObject({
    errorCode: 429001,
    message: 'Operations are being throttled for this tenant.',
  });
  expect(reply.headers['retry-after']).toBe('41');
  now += 41_000;
  expect(await statuses(4, get)).toEqual([404, 404, 404, 429]);
  await quota({ operationsPerMinute: null });
  expect((await get()).status).toBe(404);
});

it('counts a bulk of ten as one operation, and refused identities not at all', async () => {
  await quota({ operationsPerMinute: 2 });
  expect((await emulator.raw('GET', '/enrollments/none')).status).toBe(401);
  const enrollments = Array.from({ length: 10 }, (_, index) => symmetric(`dev-${index}`));
  expect(
    (await emulator.call('POST', '/enrollments', { body: { mode: 'create', enrollments } })).status,
  ).toBe(200);
  expect(await statuses(2, get)).toEqual([404, 429]);
});

it('counts registrations apart from operations, and limits polls to 5 in 10 s a device', async () => {
  const { json } = await emulator.call('PUT', '/enrollments/dev-1', { body: symmetric('dev-1') });
  const key = json.attestation.symmetricKey.primaryKey;
  await quota({ operationsPerMinute: 1, registrationsPerMinute: 1 });
  const headers = { authorization: deviceToken(emulator.idScope, 'dev-1', key) };
  const path = `/${emulator.idScope}/registrations/dev-1`;
  const { json: operation } = await emulator.raw('PUT', `${path}/register`, { headers, body: {} });
  const poll = () => emulator.raw('GET', `${path}/operations/${operation.operationId}`, { headers });
  expect(await statuses(6, poll)).toEqual([200, 200, 200, 200, 200, 429]);
  now += 10_001;
  expect((await poll()).status).toBe(200);
  const over = await register(emulator, 'dev-1', { key });
  expect([over.status, over.json.errorCode]).toEqual([429, 429001]);
  expect(await statuses(2, get)).toEqual([404, 429]);
});

it('may be set at the start, and reset goes back to that', async () => {
  const own = await startTestEmulator({ quota: { operationsPerMinute: 1 } });
  const ask = () => own.call('GET', '/enrollments/none');
  expect(await statuses(2, ask)).toEqual([404, 429]);
  await own.control('PUT', 'quota', {});
  expect((await ask()).status).toBe(404);
  await own.control('POST', 'reset');
  expect(await statuses(2, ask)).toEqual([404, 429]);
  await own.stop();
});

it('lets no 60 seconds, however placed, hold more than it allows, and wastes nothing', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 60 }),
      (limit, waits) => {
        let clock = 1_000_000;
        const sut = new Quota({ operationsPerMinute: limit }, () => clock);
        const accepted: number[] = [];
        for (const wait of waits) {
          clock += wait;
          const recent = accepted.filter((time) => clock - time <= 60_000).length;
          const isRefused = sut.takeOperation() !== undefined;
          expect(isRefused).toBe(recent >= limit);
          if (!isRefused) {
            accepted.push(clock);
          }
        }
      },
    ),
  );
});
