import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificate } from './certificates.ts';
import { register, startTestEmulator, symmetric, type TestEmulator } from './harness.ts';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
});
afterAll(() => emulator.stop());
beforeEach(() => emulator.control('POST', 'reset'));

const put = (id: string) => emulator.call('PUT', `/enrollments/${id}`, { body: symmetric(id) });
const stats = async () => (await emulator.control('GET', 'stats')).json;

it('counts requests by operation and status, and what there is', async () => {
  const { json } = await put('dev-1');
  await put('dev-1');
  await emulator.raw('GET', '/enrollments/dev-1');
  await register(emulator, 'dev-1', { key: json.attestation.symmetricKey.primaryKey });
  expect(await stats()).toEqual({
    requests: {
      IndividualEnrollment_CreateOrUpdate: { 200: 1, 409: 1 },
      IndividualEnrollment_Get: { 401: 1 },
      RuntimeRegistration_RegisterDevice: { 202: 1 },
      RuntimeRegistration_OperationStatusLookup: { 200: 1 },
    },
    enrollments: 1,
    enrollmentGroups: 0,
    registrations: 1,
  });
});

it('puts everything back to the start', async () => {
  await put('dev-1');
  await emulator.control('PUT', 'faults', [{ operation: '*', status: 500 }]);
  await emulator.control('PUT', 'quota', { operationsPerMinute: 0 });
  await emulator.control('PUT', 'hubs', []);
  await emulator.control('PUT', 'policies', []);
  const reply = await emulator.control('POST', 'reset');
  expect([reply.status, reply.text]).toEqual([204, '']);
  expect(await stats()).toEqual({ requests: {}, enrollments: 0, enrollmentGroups: 0, registrations: 0 });
  const { json } = await put('dev-1');
  const { registrationState } = (
    await register(emulator, 'dev-1', { key: json.attestation.symmetricKey.primaryKey })
  ).json;
  expect(registrationState.assignedHub).toBe('hub.azure-devices.net');
});

it('is on both listeners', async () => {
  expect((await emulator.raw('GET', '/_emulator/stats', { tls: true, version: '' })).status).toBe(200);
});

it('seeds many records, and leaves alone what is there', async () => {
  const body = { groups: 3, registrationsPerGroup: 40, individualEnrollments: 50 };
  for (let round = 0; round < 2; round += 1) {
    expect((await emulator.control('POST', 'seed', body)).status).toBe(200);
    expect(await stats()).toMatchObject({ enrollments: 50, enrollmentGroups: 3, registrations: 120 });
  }
  const { json } = await emulator.call('POST', '/enrollments/seed-device-49/attestationmechanism');
  expect(json.symmetricKey.primaryKey).toHaveLength(88);
});

describe('answers 400 to what does not fit, and changes nothing', () => {
  const key = Buffer.alloc(32).toString('base64');
  it.each([
    ['PUT', 'faults', {}],
    ['PUT', 'faults', [{ status: 500 }]],
    ['PUT', 'faults', [{ operation: '*', rate: 2 }]],
    ['PUT', 'faults', [{ operation: '*', latency: 5 }]],
    ['PUT', 'faults', [{ operation: '*', reset: 'now' }]],
    ['PUT', 'faults', [{ operation: '*', retryAfter: 'a\r\nb' }]],
    ['PUT', 'faults', '{'],
    ['PUT', 'quota', { operationsPerMinute: -1 }],
    ['PUT', 'quota', { operationsPerMinute: '5' }],
    ['PUT', 'quota', []],
    ['PUT', 'hubs', [{ hostName: '' }]],
    ['PUT', 'hubs', [{ hostName: 'a.example', allocationWeight: 0 }]],
    ['PUT', 'hubs', [{}]],
    ['PUT', 'policies', [{ keyName: 'a', primaryKey: 'not base64', secondaryKey: key, rights: [] }]],
    ['PUT', 'policies', [{ keyName: 'a', primaryKey: key, secondaryKey: key, rights: ['Everything'] }]],
    ['PUT', 'certificates/a', 'no PEM'],
    ['POST', 'seed', { groups: 101 }],
    ['POST', 'seed', 'x'],
  ])('%s %s %j', async (method, path, body) => {
    const reply = await emulator.control(method, path, body);
    expect([reply.status, typeof reply.json.message]).toEqual([400, 'string']);
    expect((await put('dev-1')).status).toBe(200);
  });

  it('a certificate that is no authority', async () => {
    expect(
      (await emulator.control('PUT', 'certificates/a', (await makeCertificate('CN=dev')).pem)).status,
    ).toBe(400);
  });
});

it('knows no other calls', async () => {
  for (const [method, path] of [
    ['GET', 'nothing'],
    ['PUT', 'certificates'],
    ['DELETE', 'faults'],
    ['PUT', 'hubs/x'],
  ] as const) {
    expect((await emulator.control(method, path)).status).toBe(404);
  }
});

it('is closed to pages of other sites and to names that are not this machine', async () => {
  const { port } = new URL(emulator.endpoint);
  const statusWith = (headers: Record<string, string>) =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/_emulator/reset', method: 'POST', headers };
      request(options, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
  expect(await statusWith({ origin: 'https://evil.example' })).toBe(403);
  expect(await statusWith({ host: 'evil.example' })).toBe(403);
  expect(await statusWith({ origin: emulator.endpoint })).toBe(204);
});

it('does not wait at its end for connections that never came to a request', async () => {
  const own = await startTestEmulator();
  const open = (url: string) =>
    new Promise<Socket>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => resolve(socket));
      socket.on('error', () => {});
    });
  const sockets = [await open(own.tlsEndpoint), await open(own.endpoint)];
  await own.stop();
  for (const socket of sockets) {
    socket.destroy();
  }
});

it('is closed to other machines, while the APIs are open to them', async (context) => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal)?.address;
  if (outside === undefined) {
    return context.skip('This machine has no address but the loopback ones.');
  }
  const own = await startTestEmulator({ host: '0.0.0.0' });
  const url = new URL(own.endpoint);
  const status = (path: string) =>
    new Promise((resolve, reject) => {
      const options = { host: outside, port: url.port, path, headers: { host: 'localhost' } };
      request(options, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
  expect(await status('/_emulator/stats')).toBe(403);
  expect(await status('/enrollments/x?api-version=2021-10-01')).toBe(401);
  await own.stop();
});

describe('faults', () => {
  const set = (...rules: Record<string, unknown>[]) => emulator.control('PUT', 'faults', rules);
  const enrollments = async () => (await stats()).enrollments;

  it('answer with a status, code and Retry-After instead of running the operation', async () => {
    await set({ operation: 'IndividualEnrollment_*', status: 429, retryAfter: 'soon' });
    const reply = await put('dev-1');
    expect([reply.status, reply.headers['retry-after'], reply.json.errorCode]).toEqual([429, 'soon', 429001]);
    expect(reply.json.trackingId).toBe(reply.headers['x-ms-request-id']);
    expect(await enrollments()).toBe(0);
    expect((await emulator.call('GET', '/registrations/dev-1')).status).toBe(404);
    await set({ operation: 'IndividualEnrollment_Get', status: 503, errorCode: 503777 });
    expect((await emulator.call('GET', '/enrollments/dev-1')).json.errorCode).toBe(503777);
  });

  it('cut the connection before anything happens, or once the change is committed', async () => {
    await set({ operation: '*', reset: 'before', count: 1 });
    await expect(put('dev-1')).rejects.toThrow();
    expect(await enrollments()).toBe(0);
    await set({ operation: '*', reset: 'after', count: 1 });
    await expect(put('dev-1')).rejects.toThrow();
    expect(await enrollments()).toBe(1);
    await set({ operation: '*', reset: 'after', count: 1 });
    await expect(emulator.call('DELETE', '/enrollments/dev-1', { tls: true })).rejects.toThrow();
    expect(await enrollments()).toBe(0);
    expect((await stats()).requests.IndividualEnrollment_CreateOrUpdate).toEqual({ reset: 2 });
  });

  it('spoil the body of an answer whose change is committed', async () => {
    await set({ operation: '*', body: 'garbage', count: 1 });
    const garbage = await put('dev-1');
    expect([garbage.status, garbage.json]).toEqual([200, undefined]);
    await set({ operation: '*', body: 'truncated', count: 1 });
    await expect(put('dev-2')).rejects.toThrow();
    expect(await enrollments()).toBe(2);
    await set({ operation: '*', status: 502, body: 'garbage', count: 1 });
    const both = await put('dev-3');
    expect([both.status, both.json]).toEqual([502, undefined]);
  });

  it('happen a number of times, to the first rule that matches and fires', async () => {
    await set(
      { operation: 'IndividualEnrollment_CreateOrUpdate', status: 500, count: 2 },
      { operation: 'individualenrollment_*', status: 503, count: 1 },
    );
    const statuses: number[] = [];
    for (let index = 0; index < 4; index += 1) {
      statuses.push((await put('dev-1')).status);
    }
    expect(statuses).toEqual([500, 500, 503, 200]);
  });

  it('happen at a rate, the same calls for the same seed', async () => {
    const pattern = async (seed: number) => {
      await set({ operation: '*', status: 500, rate: 0.3, seed });
      const statuses: number[] = [];
      for (let index = 0; index < 60; index += 1) {
        statuses.push((await emulator.call('GET', '/enrollments/none')).status);
      }
      return statuses.map((status) => (status === 500 ? 'x' : '.')).join('');
    };
    const first = await pattern(1);
    expect(await pattern(1)).toBe(first);
    expect(await pattern(2)).not.toBe(first);
    const fired = first.split('x').length - 1;
    expect(fired).toBeGreaterThan(6);
    expect(fired).toBeLessThan(32);
  });

  it('delay, and then let the call go on', async () => {
    await set({ operation: 'IndividualEnrollment_CreateOrUpdate', latencyMs: 300 });
    const slow = put('dev-1');
    const others = emulator
      .call('GET', '/enrollments/dev-1')
      .then(() => emulator.call('GET', '/enrollments/dev-1'));
    expect((await Promise.race([slow, others])).status).toBe(404);
    expect((await slow).status).toBe(200);
  });

  it('come before the identity is checked, and go when the rules are replaced', async () => {
    await set({ operation: '*', status: 418 });
    expect((await emulator.raw('GET', '/enrollments/x')).status).toBe(418);
    await set();
    expect((await emulator.raw('GET', '/enrollments/x')).status).toBe(401);
  });
});
