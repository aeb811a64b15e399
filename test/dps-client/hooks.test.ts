import { describe, expect, it } from 'vitest';
import type { RequestEvent, WaitEvent } from '../../src/dps/client-hooks.ts';
import { CapturedClock } from './captured-clock.ts';
import { useEmulator } from './emulator.ts';
import { ScriptedService } from './scripted-service.ts';

const emulator = useEmulator();

describe('The hooks', () => {
  it('see every request and every wait of a call', async () => {
    await emulator.current.faults(
      { operation: '*', status: 429, retryAfter: '7', count: 1 },
      { operation: '*', reset: 'before', count: 1 },
    );
    const requests: RequestEvent[] = [];
    const waits: WaitEvent[] = [];
    const begin = performance.now();
    await using client = emulator.current.client({
      clock: new CapturedClock(),
      random: () => 1,
      onRequest: (event) => requests.push(event),
      onWait: (event) => waits.push(event),
    });
    await client.enrollmentGroups.createOrUpdate({
      enrollmentGroupId: 'g',
      attestation: { type: 'symmetricKey' },
    });
    for (const { durationInMs } of requests) {
      expect(durationInMs).toBeGreaterThan(0);
      expect(durationInMs).toBeLessThanOrEqual(performance.now() - begin);
    }
    const each = {
      operation: 'enrollmentGroups.createOrUpdate',
      id: 'g',
      method: 'PUT',
      path: '/enrollmentGroups/g',
      durationInMs: expect.any(Number),
      failureCode: undefined,
    };
    expect(requests).toEqual([
      { ...each, attempt: 1, statusCode: 429, trackingId: expect.any(String) },
      { ...each, attempt: 2, statusCode: undefined, trackingId: undefined, failureCode: expect.any(String) },
      { ...each, attempt: 3, statusCode: 200, trackingId: undefined },
    ]);
    const wait = { operation: each.operation, id: 'g' };
    expect(waits).toEqual([
      { ...wait, attempt: 1, waitInMs: 7000, toldByService: true, statusCode: 429, failureCode: undefined },
      {
        ...wait,
        attempt: 2,
        waitInMs: 1000,
        toldByService: false,
        statusCode: undefined,
        failureCode: expect.any(String),
      },
    ]);
  });

  it('see the request that a refreshed token costs, and one that the caller gives up', async () => {
    const requests: RequestEvent[] = [];
    await using client = emulator.current.client({ onRequest: (event) => requests.push(event) });
    await emulator.current.faults({ operation: '*', status: 401, count: 1 });
    await client.enrollmentGroups.query().next();
    expect(requests.map(({ statusCode }) => statusCode)).toEqual([401, 200]);
    await emulator.current.faults({ operation: '*', latencyMs: 60_000 });
    const controller = new AbortController();
    const call = client.enrollmentGroups.get('g', { abortSignal: controller.signal });
    setImmediate(() => controller.abort());
    await expect(call).rejects.toThrow();
    expect(requests[2]).toMatchObject({ statusCode: undefined, failureCode: 'ABORTED' });
    await emulator.current.faults();
  });

  it('cannot break a call', async () => {
    await emulator.current.faults({ operation: '*', status: 503, count: 1 });
    const broken = () => {
      throw new Error('a broken hook');
    };
    await using client = emulator.current.client({
      clock: new CapturedClock(),
      onRequest: broken,
      onWait: broken,
    });
    expect(await client.enrollmentGroups.query().next()).toMatchObject({ done: true });
  });
});

describe('Secrets', () => {
  const policyKey = Buffer.from('canary-policy-key-0123456789').toString('base64');
  const primaryKey = Buffer.from('canary-primary-key-0123456789').toString('base64');
  const secondaryKey = Buffer.from('canary-secondary-key-012345').toString('base64');
  const webhookUrl = 'https://example.com/allocate?code=canary-function-key';
  const device = {
    registrationId: 'dev-1',
    attestation: { type: 'symmetricKey' as const, symmetricKey: { primaryKey, secondaryKey } },
    customAllocationDefinition: { webhookUrl, apiVersion: '2021-10-01' },
  };

  it('are in no error and no event, not even where a server sends the request back', async () => {
    const events: unknown[] = [];
    const errors: unknown[] = [];
    let how = 0;
    await using service = await ScriptedService.start((response, { headers, body }) => {
      const said = `You sent ${headers.authorization} and ${body}, https://${headers.host}/?sig=canary-sig`;
      const statuses = [400, 401, 403, 404, 409, 412, 429, 500, 503, 302];
      const status = statuses[how % statuses.length]!;
      const json = JSON.stringify({ errorCode: status * 1000, message: said, info: { request: said } });
      response.writeHead(status).end(how < statuses.length ? json : said);
      how += 1;
    });
    const { DeviceProvisioningClient } = await import('../../src/dps/client.ts');
    await using client = new DeviceProvisioningClient(
      `http://${service.host}`,
      { name: 'policy', key: policyKey },
      {
        allowInsecureLoopback: true,
        clock: new CapturedClock(),
        retryOptions: { maxRetries: 1 },
        onRequest: (event) => events.push(event),
        onWait: (event) => events.push(event),
      },
    );
    for (let i = 0; i < 20; i += 1) {
      const enrollments = [device];
      const calls: (() => Promise<unknown>)[] = [
        () => client.individualEnrollments.createOrUpdate(device),
        () => client.individualEnrollments.runBulkOperation({ mode: 'create', enrollments }),
        async () => {
          const [result] = await client.individualEnrollments.createMany(enrollments);
          throw result?.succeeded === false ? result.error : new Error('It should have failed.');
        },
      ];
      for (const call of calls) {
        await call().catch((error: unknown) => errors.push(error));
      }
    }
    expect(errors.length).toBe(60);
    const token = service.arrivals[0]!.headers.authorization!;
    const signature = /sig=([^&]+)/.exec(token)![1]!;
    const secrets = [policyKey, primaryKey, secondaryKey, 'canary-function-key', 'canary-sig', signature];
    const texts = [...errors, ...events].map((thing) => describeFully(thing));
    for (const secret of secrets) {
      expect(texts.filter((text) => text.includes(secret))).toEqual([]);
    }
  });

  it('are in no error of a bulk item either', async () => {
    const errorStatus = `Bad key ${primaryKey} for ${webhookUrl}`;
    const body = {
      isSuccessful: false,
      errors: [{ registrationId: 'dev-1', errorCode: 400004, errorStatus }],
    };
    await using service = await ScriptedService.start({ status: 200, body });
    await using client = service.client();
    const [result] = await client.individualEnrollments.createMany([device]);
    const text = describeFully(result?.succeeded === false && result.error);
    expect(text).toContain('Bad key');
    expect(text).not.toContain(primaryKey);
    expect(text).not.toContain('canary');
  });
});

/** All that a logger could find, along the causes. */
function describeFully(thing: unknown): string {
  if (!(thing instanceof Error)) {
    return JSON.stringify(thing) ?? '';
  }
  const own = JSON.stringify(Object.fromEntries(Object.entries(thing)));
  return `${thing.message} ${thing.stack} ${own} ${thing.cause ? describeFully(thing.cause) : ''}`;
}
