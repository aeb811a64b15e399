import type { Dispatcher } from 'undici';
import { type FailedAttempt, isFailed, readResponse, refused, unanswered } from './attempt.ts';
import type { Authorizer } from './authorization.ts';
import { notify } from './client-hooks.ts';
import type { ClientSettings } from './client-options.ts';
import type { Connections } from './connections.ts';
import type { DeviceProvisioningError } from './errors.ts';
import { exchange, type HttpResponse } from './http-exchange.ts';
import { networkFailureOf } from './network-failure.ts';
import { reportResponse } from './raw-response.ts';
import { backoffInMs } from './retry-policy.ts';
import type { ServiceCall, ServiceResponse } from './service-call.ts';
import { clientClosed } from './service-error.ts';
import { type CallTrace, traced } from './tracing.ts';

/** How one call goes, over all of its attempts. */
interface CallState {
  readonly trace: CallTrace;
  attempt: number;
  readonly startedAt: number;
  tokenRefreshed: boolean;
  responseLost: boolean;
}

/** Carries calls out: authorizes, sends, evaluates the response, waits, sends again. */
export class ServiceCaller {
  readonly #connections: Connections;
  readonly #authorizer: Authorizer;
  readonly #settings: ClientSettings;
  readonly #closing = new AbortController();

  constructor(connections: Connections, authorizer: Authorizer, settings: ClientSettings) {
    this.#connections = connections;
    this.#authorizer = authorizer;
    this.#settings = settings;
  }

  /** @throws {@link DeviceProvisioningError}, or the reason of the abort signal. */
  call(call: ServiceCall): Promise<ServiceResponse> {
    return traced(this.#settings.tracingClient, call, (trace) => this.#run(call, trace));
  }

  async #run(call: ServiceCall, trace: CallTrace): Promise<ServiceResponse> {
    const state: CallState = {
      trace,
      attempt: 1,
      startedAt: this.#settings.clock.now(),
      tokenRefreshed: false,
      responseLost: false,
    };
    for (;;) {
      const outcome = await this.#attempt(call, state);
      if (!isFailed(outcome)) {
        return outcome;
      }
      const recognised = await recogniseRepeatedWrite(call, state, outcome.error);
      if (recognised) {
        return recognised;
      }
      if (!this.#isRepeated(state, outcome)) {
        throw outcome.error;
      }
      state.responseLost ||= outcome.mayHaveBeenCarriedOut;
      await this.#wait(call, state, outcome);
      state.attempt += 1;
    }
  }

  /** Ends all waits, and sends nothing any more. */
  close(): void {
    this.#closing.abort();
  }

  async #attempt(call: ServiceCall, state: CallState): Promise<ServiceResponse | FailedAttempt> {
    this.#refuseIfClosed(call);
    const authorized = this.#authorizer.authorize(call, call.options.abortSignal, state.trace.tracingContext);
    const authorization = typeof authorized === 'string' ? authorized : await authorized;
    this.#refuseIfClosed(call);
    const pool = this.#connections.pool ?? (await this.#connections.open());
    const startedAt = this.#settings.hooks.onRequest ? performance.now() : 0;
    let answer: HttpResponse;
    try {
      answer = await this.#send(pool, call, [...this.#headers(call, authorization), ...state.trace.headers]);
    } catch (error) {
      const failureCode = call.options.abortSignal?.aborted ? 'ABORTED' : networkFailureOf(error).code;
      this.#report(call, state, startedAt, undefined, failureCode);
      return unanswered(call, error);
    }
    this.#report(call, state, startedAt, answer, undefined);
    const isSuccess = answer.statusCode >= 200 && answer.statusCode <= 299;
    const outcome = isSuccess
      ? readResponse(call, answer, state.responseLost)
      : refused(call, answer, this.#settings.clock.now());
    reportResponse(call, this.#connections.origin, answer, outcome);
    if (answer.statusCode === 401 && !state.tokenRefreshed && this.#authorizer.refused(authorization)) {
      state.tokenRefreshed = true;
      return this.#attempt(call, state);
    }
    return outcome;
  }

  #refuseIfClosed(call: ServiceCall): void {
    if (this.#closing.signal.aborted) {
      throw clientClosed(call);
    }
  }

  #send(pool: Dispatcher, call: ServiceCall, headers: string[]): Promise<HttpResponse> {
    return exchange(pool, {
      method: call.method,
      path: call.path,
      headers,
      body: call.body ?? null,
      timeoutInMs: this.#settings.requestTimeoutInMs,
      abortSignal: call.options.abortSignal,
    });
  }

  #report(
    call: ServiceCall,
    state: CallState,
    startedAt: number,
    answer: HttpResponse | undefined,
    failureCode: string | undefined,
  ): void {
    const { onRequest } = this.#settings.hooks;
    if (!onRequest) {
      return;
    }
    notify(onRequest, {
      operation: call.operation,
      id: call.id,
      method: call.method,
      path: call.path.slice(0, call.path.indexOf('?')),
      attempt: state.attempt,
      durationInMs: performance.now() - startedAt,
      statusCode: answer?.statusCode,
      failureCode,
      trackingId: answer?.header('x-ms-request-id'),
    });
  }

  #headers(call: ServiceCall, authorization: string): string[] {
    const headers = [
      'authorization',
      authorization,
      'accept',
      'application/json',
      'user-agent',
      this.#settings.userAgent,
    ];
    if (call.body !== undefined) {
      headers.push('content-type', 'application/json');
    }
    if (call.ifMatch !== undefined) {
      headers.push('if-match', call.ifMatch);
    }
    if (call.maxItemCount !== undefined) {
      headers.push('x-ms-max-item-count', String(call.maxItemCount));
    }
    if (call.continuation !== undefined) {
      headers.push('x-ms-continuation', call.continuation);
    }
    return headers;
  }

  #isRepeated(state: CallState, failed: FailedAttempt): boolean {
    const { retry, clock } = this.#settings;
    if (!failed.retried || state.attempt > retry.maxRetries) {
      return false;
    }
    const elapsed = clock.now() - state.startedAt;
    return elapsed + (failed.error.retryAfterInMs ?? 0) <= retry.totalTimeInMs;
  }

  async #wait(call: ServiceCall, state: CallState, failed: FailedAttempt): Promise<void> {
    const { retry, random, clock, hooks } = this.#settings;
    const told = failed.error.retryAfterInMs;
    const left = retry.totalTimeInMs - (clock.now() - state.startedAt);
    const waitInMs = told ?? Math.max(0, Math.min(left, backoffInMs(state.attempt, retry, random)));
    notify(hooks.onWait, {
      operation: call.operation,
      id: call.id,
      attempt: state.attempt,
      waitInMs,
      toldByService: told !== undefined,
      statusCode: failed.error.statusCode,
      failureCode: failed.failureCode,
    });
    const closing = this.#closing.signal;
    const signal = call.options.abortSignal ? AbortSignal.any([call.options.abortSignal, closing]) : closing;
    try {
      await clock.wait(waitInMs, signal);
    } catch (error) {
      throw closing.aborted && !call.options.abortSignal?.aborted ? failed.error : error;
    }
  }
}

/** A refusal after a lost response may only say that the call had succeeded before. */
async function recogniseRepeatedWrite(
  call: ServiceCall,
  state: CallState,
  error: DeviceProvisioningError,
): Promise<ServiceResponse | undefined> {
  if (!state.responseLost || !call.recogniseRepeatedWrite) {
    return undefined;
  }
  const body = await call.recogniseRepeatedWrite(error);
  return body === undefined ? undefined : { body, afterLostResponse: true };
}
