import type { TokenCredential } from '@azure/core-auth';
import {
  createTracingClient,
  type Instrumenter,
  type TracingContext,
  useInstrumenter,
} from '@azure/core-tracing';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { DeviceProvisioningClient } from '../../src/dps/client.ts';
import { NotFoundError } from '../../src/dps/errors.ts';
import { useEmulator } from './emulator.ts';
import { ScriptedService } from './scripted-service.ts';

const emulator = useEmulator();

interface RecordedSpan {
  readonly name: string;
  readonly kind: string | undefined;
  readonly parent: unknown;
  readonly attributes: Record<string, unknown>;
  status?: string;
  error?: unknown;
  ended: boolean;
}

const spanName = Symbol('span');
const spans: RecordedSpan[] = [];

function contextOf(span: unknown): TracingContext {
  const values = new Map<symbol, unknown>([[spanName, span]]);
  const context: TracingContext = {
    getValue: (key) => values.get(key),
    setValue: (key, value) => {
      values.set(key, value);
      return context;
    },
    deleteValue: (key) => {
      values.delete(key);
      return context;
    },
  };
  return context;
}

/** Keeps what it is told, as an exporter of OpenTelemetry would. */
const recording: Instrumenter = {
  startSpan: (name, { spanKind, tracingContext }) => {
    const span: RecordedSpan = {
      name,
      kind: spanKind,
      parent: tracingContext?.getValue(spanName),
      attributes: {},
      ended: false,
    };
    spans.push(span);
    return {
      tracingContext: contextOf(span),
      span: {
        setStatus: (status) => {
          span.status = status.status;
          if (status.status === 'error') {
            span.error = status.error;
          }
        },
        setAttribute: (key, value) => {
          span.attributes[key] = value;
        },
        end: () => {
          span.ended = true;
        },
        recordException: () => undefined,
        isRecording: () => true,
      },
    };
  },
  withContext: (_context, callback, ...args) => callback(...args),
  parseTraceparentHeader: () => undefined,
  createRequestHeaders: (context) => ({
    traceparent: `00-trace-${spans.indexOf(context?.getValue(spanName) as RecordedSpan)}-01`,
  }),
};

const without: Instrumenter = {
  ...recording,
  startSpan: () => {
    throw new Error('No span is expected here.');
  },
};

beforeEach(() => {
  spans.length = 0;
  useInstrumenter(recording);
});
afterAll(() => useInstrumenter(without));

const tracingClient = createTracingClient({ namespace: 'Microsoft.Devices', packageName: 'test' });

describe('With a tracing client of @azure/core-tracing', () => {
  it('a call is a span under the given context, and its requests carry the span', async () => {
    await using service = await ScriptedService.start({ status: 503 }, { status: 200, body: {} });
    await using client = service.client({ tracingClient, retryOptions: { retryDelayInMs: 1 } });
    await client.individualEnrollments.get('traced', {
      tracingOptions: { tracingContext: contextOf('mine') },
    });
    expect(spans).toEqual([
      {
        name: 'DeviceProvisioningClient.individualEnrollments.get',
        kind: 'client',
        parent: 'mine',
        attributes: expect.objectContaining({ 'az.namespace': 'Microsoft.Devices', 'dps.id': 'traced' }),
        status: 'success',
        ended: true,
      },
    ]);
    expect(service.arrivals.map(({ headers }) => headers.traceparent)).toEqual([
      '00-trace-0-01',
      '00-trace-0-01',
    ]);
  });

  it('a failed call is a span with its error, which holds no secret', async () => {
    await using client = emulator.current.client({ tracingClient });
    const error = await client.enrollmentGroups.get('nobody').catch((reason) => reason);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(spans).toMatchObject([{ status: 'error', error, ended: true }]);
  });

  it('the credential is asked for its token within the span', async () => {
    const contexts: unknown[] = [];
    const expiresOnTimestamp = Date.now() + 3_600_000;
    const credential: TokenCredential = {
      getToken: async (_scopes, options) => {
        contexts.push(options?.tracingOptions?.tracingContext?.getValue(spanName));
        return { token: 'none', expiresOnTimestamp };
      },
    };
    await using client = new DeviceProvisioningClient(emulator.current.tlsEndpoint, credential, {
      caCertificates: emulator.current.caCertificate,
      tracingClient,
    });
    await client.enrollmentGroups.get('nobody').catch(() => undefined);
    expect(contexts[0]).toBe(spans[0]);
  });
});

describe('Without a tracing client', () => {
  it('the given context goes to the credential, and no request carries a trace', async () => {
    useInstrumenter(without);
    await using service = await ScriptedService.start({ status: 200, body: {} });
    await using client = service.client();
    await client.individualEnrollments.get('plain', {
      tracingOptions: { tracingContext: contextOf('mine') },
    });
    expect(service.arrivals[0]?.headers).not.toHaveProperty('traceparent');
  });
});
