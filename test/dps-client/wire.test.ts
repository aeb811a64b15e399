import { KeyObject } from 'node:crypto';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getGlobalDispatcher } from 'undici';
import { describe, expect, it, vi } from 'vitest';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import type { DeviceProvisioningClientOptions } from '../../src/dps/client-options.ts';
import { InvalidRequestError, UnavailableError } from '../../src/dps/errors.ts';
import type { IndividualEnrollment } from '../../src/dps/models.ts';
import { CapturedClock } from './captured-clock.ts';
import { makeCertificate, rsa } from './certificates.ts';
import { hangUp, ScriptedService } from './scripted-service.ts';

const once = { retryOptions: { maxRetries: 0 } };
const enrollment: IndividualEnrollment = { registrationId: 'dev-1', attestation: { type: 'symmetricKey' } };

describe('On the wire', () => {
  it('each operation is the method and path that DPS documents', async () => {
    await using service = await ScriptedService.start((response, { method, url }) => {
      const body = url.includes('/query') ? [] : { isSuccessful: true, errors: [] };
      response
        .writeHead(method === 'DELETE' ? 204 : 200)
        .end(method === 'DELETE' ? '' : JSON.stringify(body));
    });
    await using client = service.client(once);
    const { individualEnrollments, enrollmentGroups, deviceRegistrationStates } = client;
    const group = { enrollmentGroupId: 'g:1', attestation: enrollment.attestation };
    await individualEnrollments.get('a b/1');
    await individualEnrollments.createOrUpdate(enrollment);
    await individualEnrollments.delete('dev-1');
    await individualEnrollments.query().next();
    await individualEnrollments.getAttestationMechanism('dev-1');
    await individualEnrollments.runBulkOperation({ mode: 'create', enrollments: [enrollment] });
    await enrollmentGroups.get('g:1');
    await enrollmentGroups.createOrUpdate(group);
    await enrollmentGroups.delete('g:1');
    await enrollmentGroups.query('select *').next();
    await enrollmentGroups.getAttestationMechanism('g:1');
    await enrollmentGroups.runBulkOperation({ mode: 'create', enrollmentGroups: [group] });
    await deviceRegistrationStates.get('dev-1');
    await deviceRegistrationStates.delete('dev-1');
    await deviceRegistrationStates.query('g:1').next();
    expect(
      service.arrivals.map(({ method, url, body }) => [
        method,
        url.replace('?api-version=2021-10-01', ''),
        body,
      ]),
    ).toEqual([
      ['GET', '/enrollments/a%20b%2F1', ''],
      ['PUT', '/enrollments/dev-1', JSON.stringify(enrollment)],
      ['DELETE', '/enrollments/dev-1', ''],
      ['POST', '/enrollments/query', '{"query":"SELECT *"}'],
      ['POST', '/enrollments/dev-1/attestationmechanism', ''],
      ['POST', '/enrollments', JSON.stringify({ mode: 'create', enrollments: [enrollment] })],
      ['GET', '/enrollmentGroups/g%3A1', ''],
      ['PUT', '/enrollmentGroups/g%3A1', JSON.stringify(group)],
      ['DELETE', '/enrollmentGroups/g%3A1', ''],
      ['POST', '/enrollmentGroups/query', '{"query":"select *"}'],
      ['POST', '/enrollmentGroups/g%3A1/attestationmechanism', ''],
      ['POST', '/enrollmentGroups', JSON.stringify({ mode: 'create', enrollmentGroups: [group] })],
      ['GET', '/registrations/dev-1', ''],
      ['DELETE', '/registrations/dev-1', ''],
      ['POST', '/registrations/g%3A1/query', ''],
    ]);
    for (const { headers } of service.arrivals) {
      expect(headers).toMatchObject({
        accept: 'application/json',
        'user-agent': expect.stringContaining('dps-client-js'),
      });
    }
  });

  it('the preview version is sent where it is asked for, and its members only then', async () => {
    await using service = await ScriptedService.start({ status: 200, body: {} });
    const withPolicy = { ...enrollment, credentialPolicyName: 'policy' };
    await using stable = service.client(once);
    await expect(stable.individualEnrollments.createOrUpdate(withPolicy)).rejects.toThrow(/serviceVersion/);
    expect(service.arrivals).toEqual([]);
    await using preview = service.client({
      ...once,
      serviceVersion: '2025-07-01-preview',
      userAgentPrefix: 'factory/1',
    });
    await preview.individualEnrollments.createOrUpdate(withPolicy);
    expect(service.arrivals[0]?.url).toBe('/enrollments/dev-1?api-version=2025-07-01-preview');
    expect(service.arrivals[0]?.headers['user-agent']).toMatch(/^factory\/1 dps-client-js/);
    expect(JSON.parse(service.arrivals[0]!.body)).toHaveProperty('credentialPolicyName', 'policy');
  });

  it.each(['', '.', '..', '\ud800'])('an id that would be another path is not sent: "%s"', async (id) => {
    await using service = await ScriptedService.start({ status: 200, body: {} });
    await using client = service.client(once);
    await expect(client.individualEnrollments.get(id)).rejects.toThrow(InvalidRequestError);
    await expect(client.deviceRegistrationStates.delete(id)).rejects.toThrow(InvalidRequestError);
    await expect(client.deviceRegistrationStates.query(id).next()).rejects.toThrow(InvalidRequestError);
    expect(service.arrivals).toEqual([]);
  });

  it('an etag or a continuation token that no header can carry is not sent', async () => {
    await using service = await ScriptedService.start({ status: 200, body: {} });
    await using client = service.client();
    const smuggled = 'x\r\nAuthorization: none';
    await expect(client.individualEnrollments.delete('dev-1', { ifMatch: smuggled })).rejects.toThrow(
      InvalidRequestError,
    );
    const pages = client.individualEnrollments.query().byPage({ continuationToken: smuggled });
    await expect(pages.next()).rejects.toThrow(InvalidRequestError);
    expect(service.arrivals).toEqual([]);
  });

  it('a page size that is none is not sent', async () => {
    await using service = await ScriptedService.start({ status: 200, body: [] });
    await using client = service.client();
    for (const maxPageSize of [0, -1, 1.5, Number.NaN]) {
      const pages = client.enrollmentGroups.query().byPage({ maxPageSize });
      await expect(pages.next()).rejects.toThrow(/maxPageSize/);
    }
    expect(service.arrivals).toEqual([]);
  });

  it('twin content passes both ways unchanged, whatever its keys', async () => {
    const tags = JSON.parse(
      '{"version":1,"count":null,"metadata":{"$x":[]},"__proto__":{"a":1},"ü":"\\u2028","n":-0.5}',
    );
    await using service = await ScriptedService.start((response, { body }) => response.end(body));
    await using client = service.client(once);
    const answered = await client.individualEnrollments.createOrUpdate({
      ...enrollment,
      initialTwin: { tags },
    });
    expect(JSON.parse(service.arrivals[0]!.body).initialTwin.tags).toEqual(tags);
    expect(JSON.stringify(answered.initialTwin?.tags)).toBe(JSON.stringify(tags));
  });

  it('an answer in many pieces, cut within a character, is read whole', async () => {
    const text = Buffer.from(JSON.stringify({ registrationId: 'dev-1', deviceId: 'ü€😀'.repeat(50) }));
    await using service = await ScriptedService.start((response) => {
      response.writeHead(200);
      const send = (from: number) => {
        if (from >= text.length) {
          response.end();
          return;
        }
        response.write(text.subarray(from, from + 7), () => setImmediate(send, from + 7));
      };
      send(0);
    });
    await using client = service.client(once);
    expect((await client.individualEnrollments.get('dev-1')).deviceId).toBe('ü€😀'.repeat(50));
  });
});

describe('An empty page', () => {
  it('is not the end while the service says that there is more', async () => {
    await using service = await ScriptedService.start(
      { status: 200, headers: { 'x-ms-continuation': 'one' }, body: [] },
      { status: 200, headers: { 'x-ms-continuation': 'two' }, body: [{ registrationId: 'dev-1' }] },
      { status: 200, body: [] },
    );
    await using client = service.client(once);
    const found = [];
    for await (const { registrationId } of client.individualEnrollments.query()) {
      found.push(registrationId);
    }
    expect(found).toEqual(['dev-1']);
    expect(service.arrivals.map(({ headers }) => headers['x-ms-continuation'])).toEqual([
      undefined,
      'one',
      'two',
    ]);
  });
});

describe('Times out', () => {
  it('when no answer comes', async () => {
    await using service = await ScriptedService.start(() => undefined);
    await using client = service.client({ ...once, requestTimeoutInMs: 50 });
    const error = await client.individualEnrollments.get('dev-1').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ statusCode: undefined, cause: { code: 'UND_ERR_HEADERS_TIMEOUT' } });
  });

  it('when the answer stops half-way', async () => {
    await using service = await ScriptedService.start((response) => {
      response.writeHead(200);
      response.write('{"registrationId":');
    });
    await using client = service.client({ ...once, requestTimeoutInMs: 50 });
    const error = await client.individualEnrollments.get('dev-1').catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'UnavailableError', cause: { code: 'UND_ERR_BODY_TIMEOUT' } });
  });

  it('when the answer trickles for ever', async () => {
    await using service = await ScriptedService.start((response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(' '), 5);
      response.on('close', () => clearInterval(timer));
    });
    await using client = service.client({ ...once, requestTimeoutInMs: 60 });
    const error = await client.individualEnrollments.get('dev-1').catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'UnavailableError', cause: { code: 'RESPONSE_TIMEOUT' } });
  });
});

describe('A connection', () => {
  it('is kept and used again', async () => {
    const ports = new Set<number | undefined>();
    await using service = await ScriptedService.start((response) => {
      ports.add(response.socket?.remotePort);
      response.end('{}');
    });
    await using client = service.client(once);
    for (let i = 0; i < 10; i += 1) {
      await client.individualEnrollments.get('dev-1');
    }
    // undici lets a connection rest for a turn of the event loop, so there may be two that alternate.
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  it('that nobody listens on is told as unavailable, with the cause, after the retries', async () => {
    const service = await ScriptedService.start({ status: 200, body: {} });
    const clock = new CapturedClock();
    await using client = service.client({ clock, random: () => 1, retryOptions: { maxRetries: 2 } });
    await service[Symbol.asyncDispose]();
    const error = await client.individualEnrollments.get('dev-1').catch((e: unknown) => e);
    expect(error).toMatchObject({
      name: 'UnavailableError',
      statusCode: undefined,
      cause: { code: 'ECONNREFUSED' },
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(clock.waits).toEqual([500, 1000]);
  });

  it('is hung up when the client is closed, and no global dispatcher has anything to do with it', async () => {
    const global = getGlobalDispatcher();
    await using service = await ScriptedService.start({ status: 200, body: {} });
    const client = service.client(once);
    await Promise.all(Array.from({ length: 20 }, () => client.individualEnrollments.get('dev-1')));
    expect(await service.connections()).toBeGreaterThan(0);
    await client.close();
    await vi.waitFor(async () => expect(await service.connections()).toBe(0));
    expect(getGlobalDispatcher()).toBe(global);
  });

  it('of an old TLS version is refused, and told as such', async () => {
    const { keys, pem } = await makeCertificate({ name: 'CN=localhost', algorithm: rsa(2048, 'SHA-256') });
    const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
    // SECLEVEL=0 lets this OpenSSL speak 1.1 at all.
    const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const server = createTlsServer({ key, cert: pem, ...old });
    const refusals: string[] = [];
    server.on('tlsClientError', (error: NodeJS.ErrnoException) => refusals.push(error.code ?? ''));
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = server.address() as AddressInfo;
    await using client = new DeviceProvisioningClient(
      `https://localhost:${port}`,
      { name: 'policy', key: 'a2V5' },
      { caCertificates: pem },
    );
    const error = await client.individualEnrollments.get('dev-1').catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'UnavailableError', message: expect.stringContaining('TLS 1.2') });
    await vi.waitFor(() => expect(refusals[0]).toMatch(/PROTOCOL/));
    await new Promise((resolve) => server.close(resolve));
  });

  it('that a closed client would need is not made', async () => {
    await using service = await ScriptedService.start({ status: 200, body: {} });
    const client = service.client();
    await client.close();
    await client.close();
    const error = await client.individualEnrollments.get('dev-1').catch((e: unknown) => e);
    expect(error).toMatchObject({
      name: 'DeviceProvisioningError',
      message: expect.stringContaining('closed'),
    });
    expect(service.arrivals).toEqual([]);
  });

  it('of the very first request is made even if the client is closed meanwhile', async () => {
    await using service = await ScriptedService.start({ status: 200, body: { registrationId: 'dev-1' } });
    const client = service.client(once);
    const first = client.individualEnrollments.get('dev-1');
    await client.close();
    expect(await first).toEqual({ registrationId: 'dev-1' });
    await vi.waitFor(async () => expect(await service.connections()).toBe(0));
  });

  it('that can never be made is refused with the options that say so', () => {
    const make = (options: DeviceProvisioningClientOptions) =>
      new DeviceProvisioningClient('https://localhost:1', { name: 'policy', key: 'a2V5' }, options);
    expect(() => make({ connections: -1 })).toThrow(TypeError);
    expect(() => make({ connections: Number.NaN })).toThrow('connections must be a number');
  });

  it('closing lets the request under way finish, and ends waits with the last error', async () => {
    let release: () => void = () => undefined;
    await using service = await ScriptedService.start((response, { url }) => {
      if (url.includes('slow')) {
        release = () => response.end('{"registrationId":"slow"}');
        return;
      }
      response.writeHead(503, { 'retry-after': '60' }).end('{}');
    });
    let waiting: () => void = () => undefined;
    const waits = new Promise<void>((resolve) => {
      waiting = resolve;
    });
    const client = service.client({ onWait: () => waiting() });
    const slow = client.individualEnrollments.get('slow');
    const failing = client.individualEnrollments.get('failing').catch((e: unknown) => e);
    await waits;
    const closed = client.close();
    expect(await failing).toMatchObject({ name: 'UnavailableError', statusCode: 503 });
    release();
    expect(await slow).toEqual({ registrationId: 'slow' });
    await closed;
  });
});

describe('Answers that the contract does not have', () => {
  it.each([
    ['a redirect', 302, 'DeviceProvisioningError'],
    ['a teapot', 418, 'DeviceProvisioningError'],
    ['a proxy that wants to be asked', 407, 'DeviceProvisioningError'],
    ['a body too large', 413, 'InvalidRequestError'],
    ['a method that is none', 405, 'InvalidRequestError'],
    ['an insufficient storage', 507, 'UnavailableError'],
  ])('%s is an error that says so, and is not repeated', async (_name, status, name) => {
    await using service = await ScriptedService.start({ status, body: '<html>what?</html>' });
    await using client = service.client();
    const error = await client.enrollmentGroups.get('g').catch((e: unknown) => e);
    expect(error).toMatchObject({ name, statusCode: status, errorCode: undefined });
    expect(service.arrivals.length).toBe(1);
  });

  it.each(['null', '[]', '"text"', '{"registrationId":'])(
    'a success with the body %s is one whose answer was lost',
    async (body) => {
      await using service = await ScriptedService.start(
        { status: 200, body },
        { status: 200, body: '{"registrationId":"dev-1"}' },
      );
      await using client = service.client({ clock: new CapturedClock() });
      expect(await client.individualEnrollments.get('dev-1')).toEqual({ registrationId: 'dev-1' });
      await using impatient = (await ScriptedService.start({ status: 200, body })).client(once);
      const error = await impatient.individualEnrollments.get('dev-1').catch((e: unknown) => e);
      expect(error).toMatchObject({ name: 'UnavailableError', statusCode: 200 });
    },
  );

  it.each(['[]', '{}', '{"isSuccessful":"yes"}', '{"isSuccessful":false,"errors":{}}'])(
    'a bulk result that is none is one that was lost: %s',
    async (body) => {
      const result = { isSuccessful: true, errors: [] };
      await using service = await ScriptedService.start({ status: 200, body }, { status: 200, body: result });
      await using client = service.client({ clock: new CapturedClock() });
      const operation = { mode: 'create' as const, enrollments: [enrollment] };
      expect(await client.individualEnrollments.runBulkOperation(operation)).toEqual(result);
      expect(service.arrivals.length).toBe(2);
    },
  );

  it('a bulk result that tells of failure, but not of which, is no success', async () => {
    await using service = await ScriptedService.start({ status: 200, body: { isSuccessful: false } });
    await using client = service.client(once);
    const results = await client.individualEnrollments.createMany([enrollment]);
    expect(results).toMatchObject([{ id: 'dev-1', succeeded: false, error: { name: 'UnavailableError' } }]);
  });

  it('an answer that breaks off is one that was lost', async () => {
    await using service = await ScriptedService.start(
      (response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"registrationId":', () => response.destroy());
      },
      hangUp,
      { status: 200, body: { registrationId: 'dev-1' } },
    );
    await using client = service.client({ clock: new CapturedClock() });
    expect(await client.individualEnrollments.get('dev-1')).toEqual({ registrationId: 'dev-1' });
    expect(service.arrivals.length).toBe(3);
  });
});
