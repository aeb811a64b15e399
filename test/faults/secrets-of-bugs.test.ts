import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import {
  type Instrumenter,
  type TracingContext,
  type TracingSpan,
  useInstrumenter,
} from '@azure/core-tracing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collectRegistrations } from '../../src/local/functions/core-module.ts';
import { FunctionApp } from '../../src/local/functions/function-app.ts';
import type { LedgerCalls } from '../support/altered-services.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';
import { allQuiet } from '../support/queue.ts';

const canary = (index: number) => Buffer.from(`CANARYKEY${index}`.padEnd(33, 'x')).toString('base64');
const attestation = (index: number) => ({
  attestation: { type: 'symmetricKey', primaryKey: canary(index), secondaryKey: canary(index + 1) },
});
/** Any eight characters of a canary would be too many. */
const pieces = [1, 2, 3, 4, 5, 6].flatMap((index) =>
  Array.from({ length: canary(index).length - 8 }, (_, start) => canary(index).slice(start, start + 8)),
);
const found = (text: string) => pieces.filter((each) => text.includes(each));

describe('what a bug, or an observer of the app, gets to see', () => {
  let chain: Chain;
  const traces = new Traces();
  const calls: LedgerCalls = {};
  beforeAll(async () => {
    traces.begin();
    chain = await Chain.start({ apps: 0 });
    chain.startInstance({ altered: { ledger: calls } });
  });
  afterAll(async () => {
    await chain?.close();
    traces.end();
  });

  it('traces of the SDKs and of HTTP requests hold no keys', async () => {
    const made = manufactured('thermostat-traced', attestation(1), { minutesAgo: 9 });
    const batch = event('batch.started', 'batch-traced', { product: 'beacon-b2', ...attestation(2) });
    const wrong = manufactured('thermostat-untraced', { product: 'toaster', ...attestation(3) });
    await chain.control('faults', 'PUT', [{ operation: '*', status: 500, count: 1 }]);
    await chain.settle(made, batch, wrong);
    await chain.settle(event('device.held', made.subject, undefined, { minutesAgo: 1 }));
    const seen = traces.text();
    for (const expected of ['ServiceBus', 'TableClient', '/enrollments', 'batch-traced']) {
      expect(seen).toContain(expected);
    }
    expect(found(seen)).toEqual([]);
  });

  it.each([
    ['quotes the whole message', (text: string) => new Error(`Bug in ${text}`)],
    [
      'quotes a piece of a key',
      (text: string) =>
        new SyntaxError(`Unexpected "${text.slice(text.indexOf('"primaryKey"') + 14).slice(0, 12)}"`),
    ],
    ['has a cause that does', (text: string) => new Error('Bug', { cause: new Error(text) })],
    ['says nothing of it', () => new TypeError('Cannot read properties of undefined')],
  ])(
    'a bug whose error %s ends in dead letters without keys in their reasons, and in no log',
    async (what, bug) => {
      const [instance] = chain.instances;
      const sent = manufactured(`thermostat-bug-${what.length}`, attestation(5));
      calls.write = () => Promise.reject(bug(JSON.stringify(sent)));
      await chain.sendToQueue([sent]);
      const deadLetters = chain.serviceBus.createReceiver('manufacturing-events', {
        subQueueType: 'deadLetter',
        receiveMode: 'receiveAndDelete',
      });
      const { deadLetter } = chain.stack.serviceBus.counts('manufacturing-events');
      await eventually(
        async () => chain.stack.serviceBus.counts('manufacturing-events').deadLetter > deadLetter,
        'it is dead-lettered',
      );
      calls.write = undefined;
      await allQuiet(chain);
      const [letter] = await deadLetters.receiveMessages(1);
      await deadLetters.close();
      expect(letter?.deadLetterReason).toBe('MaxDeliveryCountExceeded');
      const { deadLetterReason, deadLetterErrorDescription, applicationProperties } = letter!;
      const thrown = instance!.thrown.splice(0);
      expect(thrown).toHaveLength(10);
      const said = [
        inspect({ deadLetterReason, deadLetterErrorDescription, applicationProperties }, { depth: 9 }),
        ...thrown.map((each) => inspect(each, { depth: 9 })),
        ...instance!.logged,
      ].join('\n');
      expect(found(said)).toEqual([]);
      expect(said, 'where it happened').toMatch(/subject-\w+\.ts/);
      if (what.startsWith('says')) {
        expect(said).toContain('Cannot read properties of undefined');
      }
    },
  );
});

describe('what a bug behind a route', () => {
  it('quotes of the request goes neither to the log nor to the caller', async () => {
    const app = new FunctionApp(() => {});
    await collectRegistrations(app, async () => {
      const { httpFunction } = await import('../../src/functions/http-function.ts');
      httpFunction('broken', {
        route: 'broken',
        methods: ['POST'],
        auth: 'key',
        handle: async (request) => {
          throw new Error(`Bug in ${Buffer.from(await request.body())}`);
        },
      });
    });
    const { HttpRequest } = await import('@azure/functions');
    const body = JSON.stringify(manufactured('thermostat-http-bug', attestation(5)));
    const request = new HttpRequest({
      method: 'POST',
      url: 'http://localhost/api/broken',
      body: { string: body },
    });
    const logged: unknown[] = [];
    const context = { invocationId: 'i-1', error: (...what: unknown[]) => logged.push(...what) };
    const answer = await app.functions.get('broken')!.callback(request, context);
    expect(answer).toMatchObject({ status: 500 });
    expect(logged).toHaveLength(1);
    const said = inspect([logged, answer], { depth: 9 });
    expect(said, 'where it happened').toContain('secrets-of-bugs.test.ts');
    expect(found(said)).toEqual([]);
  });
});

/** What instrumentation would record: spans of the Azure SDKs, and undici's requests. */
class Traces {
  readonly #seen: unknown[] = [];
  readonly #onRequest = (message: unknown) => {
    const { request } = message as { request: { method: string; origin: string; path: string } };
    this.#seen.push(`${request.method} ${request.origin}${request.path}`);
  };

  begin(): void {
    subscribe('undici:request:create', this.#onRequest);
    useInstrumenter(this.#instrumenter());
  }

  end(): void {
    unsubscribe('undici:request:create', this.#onRequest);
  }

  text(): string {
    return this.#seen.map((each) => inspect(each, { depth: 9 })).join('\n');
  }

  #instrumenter(): Instrumenter {
    const note = (...what: unknown[]) => void this.#seen.push(what);
    const span: TracingSpan = {
      setStatus: (status) => note('status', status),
      setAttribute: (name, value) => note(name, value),
      addEvent: (name, options) => note(name, options),
      recordException: (exception) => note('exception', exception),
      end: () => {},
      isRecording: () => true,
    };
    const emptyContext: TracingContext = {
      setValue: () => emptyContext,
      getValue: () => undefined,
      deleteValue: () => emptyContext,
    };
    return {
      startSpan: (name, options) => {
        note(name, options.spanAttributes);
        return { span, tracingContext: options.tracingContext ?? emptyContext };
      },
      withContext: (_, callback, ...parameters) => callback(...parameters),
      parseTraceparentHeader: () => undefined,
      createRequestHeaders: () => ({}),
    };
  }
}
