import type { ClientHooks } from './client-hooks.ts';
import { type Clock, systemClock } from './clock.ts';
import { type ResolvedRetryOptions, type RetryOptions, resolveRetryOptions } from './retry-policy.ts';
import type { TracingClient } from './tracing.ts';

/** The API versions that this client speaks. */
export type ServiceVersion = '2021-10-01' | '2025-07-01-preview';

/** How a {@link DeviceProvisioningClient} behaves. Times are in milliseconds. */
export interface DeviceProvisioningClientOptions extends ClientHooks {
  /** `2021-10-01` by default. The preview adds `credentialPolicyName`. */
  serviceVersion?: ServiceVersion | undefined;
  /** How calls that may succeed later are repeated. */
  retryOptions?: RetryOptions | undefined;
  /** How long one request may take to be answered, and its answer to arrive; 30,000 by default. */
  requestTimeoutInMs?: number | undefined;
  /** How many connections are kept to the service; 64 by default. Further requests queue. */
  connections?: number | undefined;
  /** PEM certificates to trust instead of the public authorities, for an emulator or a private endpoint. */
  caCertificates?: string | readonly string[] | undefined;
  /** Lets `http://localhost` and the like through, for a local emulator. `false` by default. */
  allowInsecureLoopback?: boolean | undefined;
  /** Put before this client's own name in User-Agent. */
  userAgentPrefix?: string | undefined;
  /**
   * Makes a span of every call, and sends its context along: what `createTracingClient` of
   * `@azure/core-tracing` returns.
   */
  tracingClient?: TracingClient | undefined;
  /** @internal For tests. */
  clock?: Clock | undefined;
  /** @internal For tests. Between 0 and 1. */
  random?: (() => number) | undefined;
}

/** The options with nothing left open. */
export interface ClientSettings {
  readonly serviceVersion: ServiceVersion;
  readonly retry: ResolvedRetryOptions;
  readonly requestTimeoutInMs: number;
  readonly userAgent: string;
  readonly hooks: ClientHooks;
  readonly tracingClient: TracingClient | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

const clientUserAgent = 'dps-client-js/0.1.0';

export function resolveOptions(options: DeviceProvisioningClientOptions): ClientSettings {
  return {
    serviceVersion: options.serviceVersion ?? '2021-10-01',
    retry: resolveRetryOptions(options.retryOptions),
    requestTimeoutInMs: options.requestTimeoutInMs ?? 30_000,
    userAgent: options.userAgentPrefix ? `${options.userAgentPrefix} ${clientUserAgent}` : clientUserAgent,
    hooks: { onRequest: options.onRequest, onWait: options.onWait },
    tracingClient: options.tracingClient,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}
