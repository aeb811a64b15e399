import type { Dispatcher } from 'undici';

/** One HTTP answer, read to its end. */
export interface HttpResponse {
  readonly statusCode: number;
  readonly text: string;
  header(name: string): string | undefined;
  /** All headers, with names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** One HTTP request. */
export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers: string[];
  readonly body: string | null;
  readonly timeoutInMs: number;
  readonly abortSignal?: AbortSignal | undefined;
}

/** The time for headers is undici's own affair; this is for bodies that trickle. */
export class ResponseTimeoutError extends Error {
  override readonly name = 'ResponseTimeoutError';
  readonly code = 'RESPONSE_TIMEOUT';
}

/**
 * Sends a request and reads the answer. It speaks to undici's dispatcher directly: no stream, no
 * `AbortSignal.timeout`, both of which cost more than the whole rest of this client.
 *
 * Rejects with undici's or the socket's error, or with the abort signal's reason.
 */
export function exchange(dispatcher: Dispatcher, request: HttpRequest): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const signal = request.abortSignal;
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const handler = new ResponseReader(request, resolve, reject);
    dispatcher.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body,
        headersTimeout: request.timeoutInMs,
        bodyTimeout: request.timeoutInMs,
      },
      handler,
    );
  });
}

class ResponseReader implements Dispatcher.DispatchHandler, HttpResponse {
  statusCode = 0;
  text = '';
  readonly #request: HttpRequest;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onAbort: (() => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  headers: Record<string, string | string[] | undefined> = {};
  #firstChunk: Buffer | undefined;
  #moreChunks: Buffer[] | undefined;
  #bodyStartedAt = 0;

  constructor(
    request: HttpRequest,
    resolve: (response: HttpResponse) => void,
    reject: (error: unknown) => void,
  ) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    if (request.abortSignal) {
      // A request that still waits for a free connection has no controller yet: it is given up here, and
      // ended in onRequestStart.
      this.#onAbort = () => {
        this.#controller?.abort(abortError(request.abortSignal));
        this.#finish();
        reject(request.abortSignal?.reason);
      };
      request.abortSignal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#request.abortSignal?.aborted) {
      controller.abort(abortError(this.#request.abortSignal));
    }
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.statusCode = statusCode;
    this.headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#firstChunk) {
      this.#firstChunk = chunk;
      return;
    }
    if (!this.#moreChunks) {
      this.#moreChunks = [];
      this.#bodyStartedAt = performance.now();
    }
    this.#moreChunks.push(chunk);
    if (performance.now() - this.#bodyStartedAt > this.#request.timeoutInMs) {
      controller.abort(new ResponseTimeoutError('The answer was still coming when the time was up.'));
    }
  }

  onResponseEnd(): void {
    this.#finish();
    if (this.#moreChunks && this.#firstChunk) {
      this.text = Buffer.concat([this.#firstChunk, ...this.#moreChunks]).toString('utf8');
    } else if (this.#firstChunk) {
      this.text = this.#firstChunk.toString('utf8');
    }
    this.#resolve(this);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish();
    this.#reject(error);
  }

  header(name: string): string | undefined {
    const value = this.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  #finish(): void {
    if (this.#onAbort) {
      this.#request.abortSignal?.removeEventListener('abort', this.#onAbort);
    }
  }
}

function abortError(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('The call was aborted.');
}
