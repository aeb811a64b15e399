import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestEmulator, symmetric, symmetricGroup, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

type Item = Record<string, unknown>;
const bulk = (mode: unknown, enrollments: unknown) =>
  emulator.call('POST', '/enrollments', { body: { mode, enrollments } });
const groups = (mode: string, items: Item[]) =>
  emulator.call('POST', '/enrollmentGroups', { body: { mode, enrollmentGroups: items } });
const count = async () => (await emulator.control('GET', 'stats')).json.enrollments;
const etagOf = async (id: string) => (await emulator.call('GET', `/enrollments/${id}`)).json.etag;

it('creates up to ten, and generates keys that the answer does not show', async () => {
  const items = Array.from({ length: 10 }, (_, index) => symmetric(`dev-${index}`));
  const reply = await bulk('create', items);
  expect([reply.status, reply.json]).toEqual([200, { errors: [], isSuccessful: true }]);
  const mechanism = await emulator.call('POST', '/enrollments/dev-9/attestationmechanism');
  expect(mechanism.json.symmetricKey.primaryKey).toHaveLength(88);
});

it('applies the good items and reports the bad ones by id, with 200', async () => {
  const badKey = { type: 'symmetricKey', symmetricKey: { primaryKey: 'x', secondaryKey: 'x' } };
  await bulk('create', [symmetric('taken')]);
  const reply = await bulk('create', [
    symmetric('good-1'),
    symmetric('taken'),
    { registrationId: 'bad-key', attestation: badKey },
    symmetric('bad id'),
    symmetric('good-2'),
  ]);
  expect(reply.status).toBe(200);
  expect(reply.json).toEqual({
    errors: [
      { registrationId: 'taken', errorCode: 409201, errorStatus: 'Enrollment already exists.' },
      { registrationId: 'bad-key', errorCode: 400004, errorStatus: expect.any(String) },
      { registrationId: 'bad id', errorCode: 400004, errorStatus: expect.any(String) },
    ],
    isSuccessful: false,
  });
  expect(await count()).toBe(3);
});

describe('mode update', () => {
  it('without an etag creates, and fails on what exists', async () => {
    expect((await bulk('update', [symmetric('dev-1')])).json.isSuccessful).toBe(true);
    expect((await bulk('update', [symmetric('dev-1')])).json.errors).toEqual([
      { registrationId: 'dev-1', errorCode: 409201, errorStatus: 'Enrollment already exists.' },
    ]);
    await groups('create', [symmetricGroup('g-1')]);
    expect((await groups('update', [symmetricGroup('g-1')])).json.errors).toEqual([
      { enrollmentGroupId: 'g-1', errorCode: 409202, errorStatus: 'EnrollmentGroup already exists.' },
    ]);
  });

  it('with the current etag or * updates; with a stale one it does not', async () => {
    await bulk('create', [symmetric('dev-1')]);
    const first = await etagOf('dev-1');
    expect(
      (await bulk('update', [symmetric('dev-1', { etag: first, deviceId: 'a' })])).json.isSuccessful,
    ).toBe(true);
    expect((await bulk('update', [symmetric('dev-1', { etag: '*', deviceId: 'b' })])).json.isSuccessful).toBe(
      true,
    );
    const stale = await bulk('update', [symmetric('dev-1', { etag: first, deviceId: 'c' })]);
    expect(stale.json.errors[0].errorCode).toBe(412001);
    expect((await emulator.call('GET', '/enrollments/dev-1')).json.deviceId).toBe('b');
  });

  it('with * on what is not there is a 404201', async () => {
    expect((await bulk('update', [symmetric('dev-1', { etag: '*' })])).json.errors[0].errorCode).toBe(404201);
  });
});

it.each(['updateIfMatchETag', 'updateIfMatchEtag'])('mode %s wants an etag that matches', async (mode) => {
  await bulk('create', [symmetric('dev-1')]);
  expect((await bulk(mode, [symmetric('dev-1')])).json.isSuccessful).toBe(false);
  expect((await bulk(mode, [symmetric('dev-1', { etag: await etagOf('dev-1') })])).json.isSuccessful).toBe(
    true,
  );
});

it('deletes by ids alone, unless an etag is stale', async () => {
  await bulk('create', [symmetric('dev-1'), symmetric('dev-2')]);
  const etag = await etagOf('dev-2');
  await emulator.call('PUT', '/enrollments/dev-2', {
    body: symmetric('dev-2'),
    headers: { 'if-match': '*' },
  });
  const reply = await bulk('delete', [
    { registrationId: 'DEV-1' },
    { registrationId: 'dev-2', etag },
    { registrationId: 'dev-3' },
  ]);
  expect(reply.json.errors.map(({ errorCode }: Item) => errorCode)).toEqual([412001, 404201]);
  expect(await count()).toBe(1);
});

describe('is refused as a whole, and changes nothing', () => {
  const eleven = Array.from({ length: 11 }, (_, index) => symmetric(`dev-${index}`));
  it.each([
    ['no items', 'create', []],
    ['eleven items', 'create', eleven],
    ['an id twice', 'create', [symmetric('dev-1'), symmetric('DEV-1')]],
    ['an item without an id', 'create', [symmetric('dev-1'), { attestation: { type: 'symmetricKey' } }]],
    ['an item that is no object', 'create', [symmetric('dev-1'), 7]],
    ['items that are no array', 'create', { registrationId: 'dev-1' }],
    ['an unknown mode', 'upsert', [symmetric('dev-1')]],
    ['no mode', undefined, [symmetric('dev-1')]],
  ])('%s', async (_, mode, items) => {
    const reply = await bulk(mode, items);
    expect([reply.status, reply.json.errorCode]).toEqual([400, 400004]);
    expect(await count()).toBe(0);
  });
});
