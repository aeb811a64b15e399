import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Chain, eventually } from '../support/chain.ts';
import { event, keyOf, manufactured } from '../support/events.ts';

describe('the HTTP side', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start();
  });
  afterAll(() => chain?.close());

  it('takes a structured event, and its status answers from then on', async () => {
    const made = manufactured('thermostat-h1');
    const response = await chain.post(made);
    expect(response.status).toBe(202);
    const status = `${chain.url}/api/devices/thermostat-h1/events/${keyOf(made)}`;
    expect(response.headers.get('location')).toBe(status);
    expect(await response.json()).toEqual({
      accepted: [{ index: 0, source: made.source, id: made.id, key: keyOf(made), status }],
    });
    const first = await chain.json<{ status: string }>(status);
    expect(['accepted', 'processing', 'succeeded']).toContain(first.status);
    const last = await eventually(async () => {
      const seen = await chain.json<{ status: string; finishedAt?: string }>(status);
      return seen.status === 'succeeded' && seen;
    }, 'the event succeeds');
    expect(last).toMatchObject({ key: keyOf(made), subject: 'thermostat-h1', attempts: 1, warnings: [] });
    expect(last.finishedAt).toMatch(/Z$/);
  });

  it('takes a batch, and binary mode with percent-encoded headers', async () => {
    const batch = [manufactured('thermostat-h2'), manufactured('thermostat-h3')];
    const answered = (await (await chain.post(batch)).json()) as { accepted: object[] };
    expect(answered.accepted).toHaveLength(2);
    const response = await chain.request('/api/events', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-id': 'bin%201',
        'ce-source': '/factories/test',
        'ce-type': 'com.contoso.device.manufactured',
        'ce-subject': 'thermostat-h4',
        'ce-time': new Date().toISOString(),
      },
      body: JSON.stringify({ product: 'thermostat-g2' }),
    });
    expect(response.status).toBe(202);
    const binary = { source: '/factories/test', id: 'bin 1', subject: 'thermostat-h4' };
    await eventually(async () => chain.listener.outcomes.has(keyOf(binary)), 'the binary event ends');
    await chain.ended(batch);
    expect([...(await chain.enrollments()).keys()]).toEqual(
      expect.arrayContaining(['thermostat-h2', 'thermostat-h3', 'thermostat-h4']),
    );
  });

  it('waits for the outcomes if it is asked to', async () => {
    const made = [manufactured('thermostat-h5'), event('device.held', 'thermostat-h6')];
    const response = await chain.post(made, { prefer: 'wait=30' });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      events: [
        { id: made[0]!.id, status: 'succeeded' },
        { id: made[1]!.id, status: 'succeeded' },
      ],
    });
  });

  it('answers the handshakes of CloudEvents and Event Grid, and fetches nothing', async () => {
    const options = await chain.request('/api/events', {
      method: 'OPTIONS',
      headers: {
        'webhook-request-origin': 'mes.example.com',
        'webhook-request-callback': 'http://127.0.0.1:1/never',
      },
    });
    expect(options.headers.get('webhook-allowed-origin')).toBe('mes.example.com');
    const validation = [
      {
        id: '1',
        eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
        data: { validationCode: 'abc', validationUrl: 'http://127.0.0.1:1/never' },
      },
    ];
    const answer = await chain.request('/api/events', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(validation),
    });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ validationResponse: 'abc' });
  });

  it('shows a device: what should be, is and did, and its events', async () => {
    const made = manufactured('Thermostat-H7', { tags: { plant: 'brno' } });
    await chain.settle(made, event('device.held', 'thermostat-h7', undefined, { minutesAgo: 1 }));
    const shown = await chain.json('/api/devices/THERMOSTAT-h7');
    expect(shown).toMatchObject({
      shouldBe: {
        product: 'thermostat-g2',
        enrollment: 'individual',
        provisioningStatus: 'disabled',
        life: 'manufactured',
        inSync: true,
      },
      is: { registrationId: 'thermostat-h7', deviceId: 'Thermostat-H7', provisioningStatus: 'disabled' },
      did: null,
    });
    expect(shown.events).toHaveLength(2);
    expect(JSON.stringify(shown)).not.toContain('primaryKey');
    const page = await chain.request('/api/devices/thermostat-h7', { headers: { accept: 'text/html' } });
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(await page.text()).toContain('Device thermostat-h7');
  });

  it('does not know what nobody has spoken of', async () => {
    for (const path of [
      '/api/devices/nobody',
      '/api/batches/nobody',
      `/api/devices/nobody/events/${'0'.repeat(32)}`,
      '/api/audit/runs/nobody',
    ]) {
      const response = await chain.request(path);
      expect(response.status, path).toBe(404);
      expect(response.headers.get('content-type')).toContain('application/problem+json');
    }
  });

  it('escapes what events bring into pages', async () => {
    const evil = event('device.held', 'thermostat-h8', undefined, { source: '/<script>alert(1)</script>' });
    await chain.settle(evil);
    const page = await (
      await chain.request('/api/devices/thermostat-h8', { headers: { accept: 'text/html' } })
    ).text();
    expect(page).not.toContain('<script>');
    expect(page).toContain('&lt;script&gt;');
  });

  it('says whether it is well, and what is not', async () => {
    expect(await chain.json('/api/health', { headers: { 'x-functions-key': '' } })).toEqual({
      status: 'healthy',
    });
    expect(await chain.json('/api/health/deep')).toMatchObject({
      status: 'healthy',
      checks: { dps: { ok: true }, serviceBus: { ok: true }, tables: { ok: true } },
    });
    await chain.control('faults', 'PUT', [{ operation: 'EnrollmentGroup_Query', status: 403 }]);
    const sick = await chain.request('/api/health/deep');
    await chain.control('faults', 'PUT', []);
    expect(sick.status).toBe(503);
    expect(await sick.json()).toMatchObject({
      status: 'unhealthy',
      checks: { dps: { ok: false }, serviceBus: { ok: true } },
    });
  });

  it('replays what was rejected once its reason is gone, once, and never what held keys', async () => {
    const key = Buffer.alloc(16, 3).toString('base64');
    const withKeys = manufactured('thermostat-h9', {
      product: 'toaster',
      attestation: { type: 'symmetricKey', primaryKey: key, secondaryKey: key },
    });
    await chain.settle(event('device.scrapped', 'thermostat-h10', undefined, { minutesAgo: 8 }));
    const refused = event(
      'device.changed',
      'thermostat-h10',
      { product: 'thermostat-g2' },
      { minutesAgo: 5 },
    );
    await chain.settle(refused, withKeys);
    await chain.settle(manufactured('thermostat-h10', { remanufactured: true }, { minutesAgo: 4 }));
    const replay = async () =>
      chain.json<{ replayed: number; refused: { key: string; why: string }[] }>('/api/rejected/replay', {
        method: 'POST',
        body: JSON.stringify({ keys: [keyOf(refused), keyOf(withKeys)] }),
      });
    expect(await replay()).toEqual({
      replayed: 1,
      refused: [{ key: keyOf(withKeys), why: 'its keys were removed' }],
    });
    await eventually(
      async () =>
        (await chain.json<{ status: string }>(`/api/devices/thermostat-h10/events/${keyOf(refused)}`))
          .status === 'superseded',
      'the replayed event ends anew',
    );
    expect((await replay()).replayed).toBe(0);
    const kept = await chain.json<{ rejected: { key: string; replayedAt?: string; replayable: boolean }[] }>(
      '/api/rejected',
    );
    expect(kept.rejected.find((each) => each.key === keyOf(refused))?.replayedAt).toMatch(/Z$/);
    expect(JSON.stringify(kept)).not.toContain(key);
  });
});

describe('the audit', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start();
  });
  afterAll(() => chain?.close());

  const finished = async (location: string) =>
    eventually(async () => {
      const run = await chain.json<{
        status: string;
        findings: { code: string; subject: string }[];
        scanned: object;
      }>(location);
      return run.status === 'finished' && run;
    }, 'the audit finishes');

  /** Profiles grant 90. */
  const hundredDays = 100 * 24 * 60;

  it('runs one at a time, and reports what is missing and what never came in its time', async () => {
    await chain.settle(
      manufactured('thermostat-u1', {}, { minutesAgo: hundredDays }),
      manufactured('thermostat-u2', {}, { minutesAgo: hundredDays }),
      manufactured('thermostat-u3'),
      event('batch.started', 'batch-u1', { product: 'beacon-b2' }),
    );
    await chain.dps.individualEnrollments.delete('thermostat-u2');
    await chain.dps.enrollmentGroups.delete('batch-u1');
    const started = await chain.request('/api/audit/runs', { method: 'POST' });
    expect(started.status).toBe(202);
    const second = await chain.request('/api/audit/runs', { method: 'POST' });
    expect(second.status).toBe(409);
    expect(await second.json()).toMatchObject({ run: started.headers.get('location') });
    const run = await finished(started.headers.get('location')!);
    expect(run.findings.map(({ code, subject }) => `${code} ${subject}`).sort()).toEqual([
      'enrollment-missing batch-u1',
      'enrollment-missing thermostat-u2',
      'never-registered thermostat-u1',
    ]);
    const csv = await (await chain.request('/api/audit?format=csv')).text();
    expect(csv.split('\r\n')[0]).toBe('severity,code,subject,detail,firstSeen,lastSeen');
    expect(csv).toContain('enrollment-missing,thermostat-u2');
    expect(await (await chain.request('/api/audit', { headers: { accept: 'text/html' } })).text()).toContain(
      'thermostat-u2',
    );
  });

  it('resolves what is mended, and is started by the timer function, too', async () => {
    await chain.settle(
      event(
        'device.changed',
        'thermostat-u2',
        { product: 'thermostat-g2', tags: { again: 1 } },
        { minutesAgo: 1 },
      ),
      event('batch.held', 'batch-u1'),
    );
    const fired = await chain.request('/admin/functions/audit', {
      method: 'POST',
      headers: { 'x-functions-key': chain.stack.endpoints.keys.master, 'content-type': 'application/json' },
      body: '{"input":""}',
    });
    expect(fired.status).toBe(202);
    const { runs } = await eventually(async () => {
      const list = await chain.json<{ runs: { id: string; status: string }[] }>('/api/audit/runs');
      return list.runs.length === 2 && list.runs[0]?.status === 'finished' && list;
    }, 'the second run finishes');
    const newest = await chain.json<{ id: string; findings: { code: string; subject: string }[] }>(
      '/api/audit',
    );
    expect(newest.id).toBe(runs[0]?.id);
    expect(newest.findings.map(({ code, subject }) => `${code} ${subject}`).sort()).toEqual([
      'never-registered thermostat-u1',
      'never-registered thermostat-u2',
    ]);
    const older = await chain.json<{ findings: object[] }>(`/api/audit/runs/${runs[1]?.id}`);
    expect(older.findings).toHaveLength(3);
  });
});
