import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestEmulator, symmetric, symmetricGroup, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

interface Listed {
  registrationId: string;
}

async function page(path: string, continuation?: string, size?: number) {
  const headers = {
    ...(continuation !== undefined && { 'x-ms-continuation': continuation }),
    ...(size !== undefined && { 'x-ms-max-item-count': String(size) }),
  };
  const reply = await emulator.call('POST', path, { body: { query: 'SELECT *' }, headers });
  expect(reply.status).toBe(200);
  return {
    ids: reply.json.map(({ registrationId }: Listed) => registrationId) as string[],
    next: reply.headers['x-ms-continuation'],
    reply,
  };
}

async function sizes(path: string, size?: number): Promise<number[]> {
  const counts: number[] = [];
  let next: string | undefined;
  do {
    const taken: Awaited<ReturnType<typeof page>> = await page(path, next, size);
    counts.push(taken.ids.length);
    next = taken.next;
  } while (next !== undefined);
  return counts;
}

it('gives pages of 100 unless fewer are asked for, and no token on the last', async () => {
  await emulator.control('POST', 'seed', { individualEnrollments: 150 });
  expect(await sizes('/enrollments/query')).toEqual([100, 50]);
  expect(await sizes('/enrollments/query', 50)).toEqual([50, 50, 50]);
  expect(await sizes('/enrollments/query', 5_000)).toEqual([100, 50]);
});

it('names the type of the items, and answers a bare array', async () => {
  await emulator.control('POST', 'seed', { groups: 1, registrationsPerGroup: 3, individualEnrollments: 1 });
  const body = { query: '*' };
  const types = {
    '/enrollments/query': 'Enrollment',
    '/enrollmentGroups/query': 'EnrollmentGroup',
    '/registrations/seed-group-0/query': 'DeviceRegistration',
  };
  for (const [path, type] of Object.entries(types)) {
    const { headers, json } = await emulator.call('POST', path, { body });
    expect(headers['x-ms-item-type']).toBe(type);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(Array.isArray(json)).toBe(true);
  }
});

it('pages the registrations of a group, with or without a body', async () => {
  await emulator.control('POST', 'seed', { groups: 2, registrationsPerGroup: 120 });
  expect(await sizes('/registrations/seed-group-1/query')).toEqual([100, 20]);
  const bodiless = await emulator.call('POST', '/registrations/SEED-group-1/query');
  expect(bodiless.json).toHaveLength(100);
  expect(bodiless.json[0]).toMatchObject({
    registrationId: 'seed-1-0',
    status: 'assigned',
    substatus: 'initialAssignment',
  });
  expect((await emulator.call('POST', '/registrations/nobody/query')).json.errorCode).toBe(404204);
});

describe('continuation tokens', () => {
  it('have the form of the service and are the same at a position, whatever the page size', async () => {
    await emulator.control('POST', 'seed', { individualEnrollments: 150 });
    const direct = await page('/enrollments/query', undefined, 100);
    const half = await page('/enrollments/query', undefined, 50);
    const second = await page('/enrollments/query', half.next, 50);
    expect(second.next).toBe(direct.next);
    const [entry] = JSON.parse(Buffer.from(direct.next!, 'base64').toString());
    expect(entry.token).toMatch(/^\+RID:~/);
    expect(entry).toHaveProperty('range.min');
  });

  it.each([
    'garbage',
    '',
    Buffer.from('[]').toString('base64'),
    Buffer.from('[{"token":"+RID:~!"}]').toString('base64'),
  ])('that are none are refused: %j', async (token) => {
    const headers = { 'x-ms-continuation': token };
    const reply = await emulator.call('POST', '/enrollments/query', { body: { query: '*' }, headers });
    expect(reply.status).toBe(400);
  });

  it('of another query are refused', async () => {
    await emulator.control('POST', 'seed', { groups: 2, individualEnrollments: 2, registrationsPerGroup: 2 });
    const { next } = await page('/registrations/seed-group-0/query', undefined, 1);
    for (const path of [
      '/enrollments/query',
      '/enrollmentGroups/query',
      '/registrations/seed-group-1/query',
    ]) {
      const reply = await emulator.call('POST', path, {
        body: { query: '*' },
        headers: { 'x-ms-continuation': next },
      });
      expect(reply.status).toBe(400);
    }
  });

  it('stay good while enrollments come, go and change: what is there all the time is listed once', async () => {
    const change = fc.record({ kind: fc.constantFrom('add', 'remove', 'update'), index: fc.nat(199) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 9 }),
        async (rounds, size) => {
          await emulator.control('POST', 'reset');
          await emulator.control('POST', 'seed', { individualEnrollments: 30 });
          const touched = new Set<string>();
          const listed: string[] = [];
          let next: string | undefined;
          let round = 0;
          do {
            const taken: Awaited<ReturnType<typeof page>> = await page('/enrollments/query', next, size);
            listed.push(...taken.ids);
            next = taken.next;
            for (const { kind, index } of rounds[round] ?? []) {
              const id = kind === 'add' ? `new-${index}` : `seed-device-${index % 30}`;
              if (kind !== 'update') {
                touched.add(id);
              }
              if (kind === 'remove') {
                await emulator.call('DELETE', `/enrollments/${id}`);
              } else {
                await emulator.call('PUT', `/enrollments/${id}`, {
                  body: symmetric(id),
                  headers: kind === 'update' ? { 'if-match': '*' } : {},
                });
              }
            }
            round += 1;
          } while (next !== undefined);
          expect(new Set(listed).size).toBe(listed.length);
          const untouched = Array.from({ length: 30 }, (_, index) => `seed-device-${index}`).filter(
            (id) => !touched.has(id),
          );
          expect(listed).toEqual(expect.arrayContaining(untouched));
        },
      ),
      { numRuns: 15 },
    );
  });

  it('go on behind items that were deleted since, thousands of them', async () => {
    await emulator.control('POST', 'seed', { individualEnrollments: 3_000 });
    const first = await page('/enrollments/query', undefined, 10);
    for (let start = 0; start < 2_500; start += 10) {
      const enrollments = Array.from({ length: 10 }, (_, index) => ({
        registrationId: `seed-device-${start + index}`,
      }));
      await emulator.call('POST', '/enrollments', { body: { mode: 'delete', enrollments } });
    }
    const second = await page('/enrollments/query', first.next, 10);
    expect(second.ids).toEqual(Array.from({ length: 10 }, (_, index) => `seed-device-${2_500 + index}`));
  });
});

describe('the query', () => {
  it.each(['*', 'SELECT *', 'select *', ' SELECT  * FROM enrollments ', 'Select * From Enrollments'])(
    '%j is taken',
    async (query) => {
      expect((await emulator.call('POST', '/enrollments/query', { body: { query } })).status).toBe(200);
    },
  );

  it.each([
    '',
    'SELECT registrationId',
    'SELECT * FROM enrollmentGroups',
    "SELECT * WHERE a = 'b'",
    'DROP TABLE',
    null,
    5,
    undefined,
  ])('%j is refused', async (query) => {
    expect((await emulator.call('POST', '/enrollments/query', { body: { query } })).status).toBe(400);
  });

  it('is required for enrollments and groups', async () => {
    for (const path of ['/enrollments/query', '/enrollmentGroups/query']) {
      expect((await emulator.call('POST', path)).status).toBe(400);
    }
  });

  it.each(['0', '-1', 'many', '1.5', ''])('page size %j is refused', async (size) => {
    await emulator.call('PUT', '/enrollmentGroups/g', { body: symmetricGroup('g') });
    for (const path of ['/enrollments/query', '/registrations/g/query']) {
      const headers = { 'x-ms-max-item-count': size };
      expect((await emulator.call('POST', path, { body: { query: '*' }, headers })).status).toBe(400);
    }
  });
});
