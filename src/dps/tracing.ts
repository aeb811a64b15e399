import type { TracingContext } from '@azure/core-auth';
import type { OperationOptions, OperationTracingOptions } from './operation-options.ts';

/** The part of a span of `@azure/core-tracing` that this client uses. */
export interface TracingSpan {
  setStatus(status: { status: 'success' } | { status: 'error'; error?: Error | string }): void;
  setAttribute(name: string, value: unknown): void;
  end(): void;
}

/** The part that this client uses of what `createTracingClient` of `@azure/core-tracing` returns. */
export interface TracingClient {
  startSpan(
    name: string,
    options?: { tracingOptions?: OperationTracingOptions },
    spanOptions?: { spanKind?: 'client' },
  ): { span: TracingSpan; updatedOptions: { tracingOptions?: OperationTracingOptions } };
  createRequestHeaders(tracingContext?: TracingContext): Record<string, string>;
}

/** What the requests of one call carry of its span. */
export interface CallTrace {
  readonly tracingContext: TracingContext | undefined;
  /** Names and values in turn, as undici takes them. */
  readonly headers: readonly string[];
}

/** Runs a call in a span of its own, or as it is without a tracing client. */
export async function traced<T>(
  tracingClient: TracingClient | undefined,
  call: { readonly operation: string; readonly id?: string; readonly options: OperationOptions },
  run: (trace: CallTrace) => Promise<T>,
): Promise<T> {
  const parent = call.options.tracingOptions;
  if (!tracingClient) {
    return run({ tracingContext: parent?.tracingContext, headers: [] });
  }
  const { span, updatedOptions } = tracingClient.startSpan(
    `DeviceProvisioningClient.${call.operation}`,
    parent ? { tracingOptions: parent } : {},
    { spanKind: 'client' },
  );
  if (call.id !== undefined) {
    span.setAttribute('dps.id', call.id);
  }
  const tracingContext = updatedOptions.tracingOptions?.tracingContext;
  try {
    const result = await run({
      tracingContext,
      headers: Object.entries(tracingClient.createRequestHeaders(tracingContext)).flat(),
    });
    span.setStatus({ status: 'success' });
    return result;
  } catch (error) {
    span.setStatus({ status: 'error', error: error instanceof Error ? error : String(error) });
    throw error;
  } finally {
    span.end();
  }
}
