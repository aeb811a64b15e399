import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type * as z from 'zod';
import { openApiDocument } from '../../src/http/openapi.ts';
import * as answers from '../../src/http/openapi-schemas.ts';
import { FunctionApp } from '../../src/local/functions/function-app.ts';
import { loadApp } from '../../src/local/functions/load-app.ts';
import { Chain, eventually } from '../support/chain.ts';
import { settingsOfNothing } from '../support/cold-start-process.ts';
import { event, keyOf, manufactured } from '../support/events.ts';

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, object>>;
  readonly security?: readonly object[];
}
const document = openApiDocument();
const operations = Object.entries(document.paths).flatMap(([route, methods]) =>
  Object.entries(methods as Record<string, Operation>).map(([method, operation]) => ({
    route,
    method,
    operation,
  })),
);

describe('the OpenAPI document', () => {
  it('has each route that the app registers, under its function’s name and its lock, and no other', async () => {
    for (const [name, value] of Object.entries(settingsOfNothing)) {
      vi.stubEnv(name, value);
    }
    const app = new FunctionApp(() => {});
    await loadApp(app, path.resolve(import.meta.dirname, '../..'));
    vi.unstubAllEnvs();
    const registered = [...app.functions.values()].flatMap(({ metadata }) => {
      const trigger = Object.values(metadata.bindings).find(({ type }) => type === 'httpTrigger');
      if (!trigger) {
        return [];
      }
      const { route, methods, authLevel } = trigger as unknown as {
        route: string;
        methods: string[];
        authLevel: string;
      };
      if (!route.startsWith('api/')) {
        return []; // pages for people
      }
      return methods.map((method) =>
        `${method} /${route.slice('api/'.length)} ${metadata.name} ${authLevel}`.toLowerCase(),
      );
    });
    const isOpen = ({ operationId, security }: Operation) =>
      operationId === 'webhooks' || security?.length === 0;
    const told = operations.map(({ route, method, operation }) =>
      `${method} ${route} ${operation.operationId} ${isOpen(operation) ? 'anonymous' : 'function'}`.toLowerCase(),
    );
    expect(registered.length).toBeGreaterThan(15);
    expect(told.sort()).toEqual(registered.sort());
  });

  it('points at nothing that is not there, and leaves no schema unused', () => {
    const text = JSON.stringify(document);
    const pointed = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, id]) => id));
    expect([...pointed].sort()).toEqual(Object.keys(document.components.schemas).sort());
    expect(text).not.toContain('__shared');
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
  });

  it('has a parameter for each variable of each path', () => {
    for (const { route, operation } of operations) {
      const named =
        (operation as unknown as { parameters?: { in: string; name: string }[] }).parameters ?? [];
      const inPath = named.filter((each) => each.in === 'path').map(({ name }) => name);
      expect(inPath, route).toEqual([...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
  });
});

describe('what routes answer', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await Chain.start();
  });
  afterAll(() => chain?.close());

  /** What the schema does not name would be lost in parsing it. */
  async function expectAnswer(path: string, schema: z.ZodType, init: RequestInit & { status?: number } = {}) {
    const response = await chain.request(path, init);
    const answer: unknown = await response.json();
    expect(response.status, JSON.stringify(answer)).toBe(init.status ?? 200);
    expect(schema.parse(answer)).toEqual(answer);
    return answer;
  }
  const post = (body: unknown, headers: Record<string, string> = {}) => ({
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/cloudevents+json', ...headers },
  });

  it('is as the document says: events, devices, batches', async () => {
    const made = manufactured('thermostat-o1');
    await expectAnswer('/api/events', answers.acceptedEvents, { ...post(made), status: 202 });
    await expectAnswer('/api/events', answers.eventList, post(made, { prefer: 'wait=30' }));
    const wrong = event('device.changed', 'thermostat-o1', { product: 'nothing' });
    await expectAnswer('/api/events', answers.problem, { ...post(wrong), status: 400 });
    await expectAnswer('/api/devices/thermostat-o1', answers.device);
    await expectAnswer('/api/devices/thermostat-o1/events', answers.eventList);
    await expectAnswer(`/api/devices/thermostat-o1/events/${keyOf(made)}`, answers.eventStatus);
    await expectAnswer('/api/devices/nobody', answers.problem, { status: 404 });

    const started = event('batch.started', 'batch-o1', { product: 'beacon-b2' });
    await expectAnswer('/api/events', answers.eventList, post(started, { prefer: 'wait=30' }));
    await expectAnswer('/api/batches/batch-o1', answers.batch);
    await expectAnswer('/api/devices?q=thermostat-o', answers.deviceList);
    await expectAnswer('/api/batches?life=started', answers.batchList);
    await expectAnswer('/api/devices?colour=blue', answers.problem, { status: 400 });
    await expectAnswer('/api/batches/batch-o1/events', answers.eventList);
    await expectAnswer(`/api/batches/batch-o1/events/${keyOf(started)}`, answers.eventStatus);
  });

  it('is as the document says: rejected events and their replay', async () => {
    const scrapped = event('device.scrapped', 'thermostat-o2', undefined, { minutesAgo: 5 });
    const late = event('device.changed', 'thermostat-o2', { product: 'thermostat-g2' }, { minutesAgo: 1 });
    for (const each of [scrapped, late]) {
      await expectAnswer('/api/events', answers.eventList, post(each, { prefer: 'wait=30' }));
    }
    await chain.sendToQueue(['no JSON']);
    const { rejected } = await eventually(async () => {
      const page = await chain.json<{ rejected: { key: string }[] }>('/api/rejected');
      return page.rejected.length === 2 && page;
    }, 'two rejections');
    await expectAnswer('/api/rejected', answers.rejectedEvents);
    const keys = rejected.map(({ key }) => key);
    await expectAnswer('/api/rejected/replay', answers.replayed, post({ keys }));
    await chain.ended([late]);
    await eventually(async () => {
      const page = await chain.json<{ rejected: { history?: object[] }[] }>('/api/rejected');
      return page.rejected.some(({ history }) => history);
    }, 'the replayed one is rejected again');
    await expectAnswer('/api/rejected', answers.rejectedEvents);
    await expectAnswer('/api/rejected?since=yesterday', answers.problem, { status: 400 });
  });

  it('is as the document says: audits, health, and the document itself', async () => {
    await expectAnswer('/api/audit/runs', answers.startedRun, { method: 'POST', status: 202 });
    await eventually(
      async () => (await chain.request('/api/audit')).status === 200,
      'the audit ends',
      30_000,
    );
    await expectAnswer('/api/audit', answers.auditRun);
    await expectAnswer('/api/audit/runs', answers.auditRuns);
    const rules = { rules: [{ idPrefix: 'thermostat-', product: 'thermostat-g2' }] };
    await expectAnswer('/api/adoptions', answers.startedAdoption, { ...post(rules), status: 202 });
    const started = await chain.request('/api/adoptions', post({ ...rules, dryRun: true }));
    await expectAnswer(started.headers.get('location') ?? '', answers.adoption);
    await expectAnswer('/api/adoptions', answers.problem, { ...post({}), status: 400 });
    await expectAnswer('/api/status', answers.status);
    await expectAnswer('/api/health', answers.alive);
    await expectAnswer('/api/health/deep', answers.deepHealth);
    const withoutKey = { headers: { 'x-functions-key': '' } };
    expect(await chain.json('/api/openapi.json', withoutKey)).toEqual(JSON.parse(JSON.stringify(document)));
  });
});
