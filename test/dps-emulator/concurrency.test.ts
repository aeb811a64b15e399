import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { comparable, startTestEmulator, symmetric, symmetricGroup, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

const stale = Buffer.from('"00000000-0000-0800-0000-000000000000"').toString('base64');

describe.each([
  { path: '/enrollments/x-1', body: symmetric('x-1'), exists: 409201, missing: 404201 },
  { path: '/enrollmentGroups/x-1', body: symmetricGroup('x-1'), exists: 409202, missing: 404204 },
])('$path', ({ path, body, exists, missing }) => {
  const put = (ifMatch?: string) =>
    emulator.call('PUT', path, { body, ...(ifMatch !== undefined && { headers: { 'if-match': ifMatch } }) });
  const remove = (ifMatch?: string) =>
    emulator.call('DELETE', path, ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } });

  it('PUT without If-Match creates, and is a conflict if it exists', async () => {
    expect((await put()).status).toBe(200);
    const again = await put();
    expect([again.status, again.json.errorCode]).toEqual([409, exists]);
  });

  it('PUT with the current etag, raw or quoted, updates: another etag, created kept, lastUpdated newer', async () => {
    const first = (await put()).json;
    const second = (await put(first.etag)).json;
    const third = (await put(`"${second.etag}"`)).json;
    expect(new Set([first.etag, second.etag, third.etag]).size).toBe(3);
    expect(third.createdDateTimeUtc).toBe(first.createdDateTimeUtc);
    expect(comparable(third.lastUpdatedDateTimeUtc) > comparable(first.lastUpdatedDateTimeUtc)).toBe(true);
  });

  it.each(['*', '"*"'])('PUT with If-Match %s updates whatever is there', async (ifMatch) => {
    await put();
    expect((await put(ifMatch)).status).toBe(200);
  });

  it('PUT with a stale etag is refused, and changes nothing', async () => {
    const { etag } = (await put()).json;
    const reply = await put(stale);
    expect([reply.status, String(reply.json.errorCode).slice(0, 3)]).toEqual([412, '412']);
    expect((await emulator.call('GET', path)).json.etag).toBe(etag);
  });

  it('PUT with If-Match on nothing: 412 for an etag, 404 for *', async () => {
    expect((await put(stale)).status).toBe(412);
    expect((await put('*')).json.errorCode).toBe(missing);
    expect((await emulator.call('GET', path)).status).toBe(404);
  });

  it.each(['abc', 'W/"x"', '""', `${stale}=`, '"*', 'null'])('If-Match %s is no etag', async (ifMatch) => {
    const { etag } = (await put()).json;
    for (const reply of [await put(ifMatch), await remove(ifMatch)]) {
      expect([reply.status, reply.json.message]).toEqual([400, 'ETag is invalid']);
    }
    expect((await emulator.call('GET', path)).json.etag).toBe(etag);
  });

  it('DELETE without If-Match, with * or with the etag deletes; a stale etag does not', async () => {
    for (const ifMatch of [() => undefined, () => '*', (etag: string) => etag]) {
      const { etag } = (await put()).json;
      expect((await remove(stale)).status).toBe(412);
      const reply = await remove(ifMatch(etag));
      expect([reply.status, reply.text]).toEqual([204, '']);
      expect(reply.headers).not.toHaveProperty('content-type');
    }
  });

  it('DELETE and GET of what is not there: 404 with its code', async () => {
    for (const reply of [await remove(), await remove('*'), await emulator.call('GET', path)]) {
      expect([reply.status, reply.json.errorCode]).toEqual([404, missing]);
    }
  });
});

it('lets one of two racing writers win', async () => {
  const { etag } = (await emulator.call('PUT', '/enrollments/x-1', { body: symmetric('x-1') })).json;
  const writers = Array.from({ length: 20 }, () =>
    emulator.call('PUT', '/enrollments/x-1', { body: symmetric('x-1'), headers: { 'if-match': etag } }),
  );
  const statuses = (await Promise.all(writers)).map(({ status }) => status).sort();
  expect(statuses).toEqual([200, ...Array(19).fill(412)]);
});
