import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { resolveSettings } from './app-settings.ts';
import { type FunctionApp, triggerOf } from './function-app.ts';
import { BodyTooLargeError, readBody } from './http-body.ts';
import { endWith, writeResponse } from './http-response.ts';
import { invoke, logFailure, requestFor } from './invocation.ts';
import { isAuthorized, type Keys } from './keys.ts';
import type { HttpData, RegisteredFunction } from './protocol.ts';
import { matchRoute, parseRoute, type Route } from './route.ts';

interface HttpFunction {
  readonly registered: RegisteredFunction;
  readonly bindingName: string;
  readonly methods: ReadonlySet<string>;
  readonly authLevel: string;
  readonly route: Route;
}

/** The functions with an HTTP trigger, and what is needed to answer for them. */
export class HttpTriggers {
  readonly #app: FunctionApp;
  readonly #keys: Keys;
  readonly #functions: readonly HttpFunction[];

  constructor(app: FunctionApp, functions: readonly RegisteredFunction[], routePrefix: string, keys: Keys) {
    this.#app = app;
    this.#keys = keys;
    this.#functions = functions
      .map((registered) => describe(registered, routePrefix))
      .sort((a, b) => (a.route.precedence < b.route.precedence ? -1 : 1));
  }

  async handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const found = this.#find(request.method ?? 'GET', url.pathname);
    if (found === undefined) {
      // Like the real host: a method that nobody registered on a known route is not found either.
      refuse(request, response, 404);
      return;
    }
    if (!isAuthorized(request, url, found.called.authLevel, this.#keys)) {
      refuse(request, response, 401);
      return;
    }
    try {
      const invocation = requestFor(
        found.called.bindingName,
        { http: await httpDataOf(request, url, found.parameters) },
        { invocationId: randomUUID(), traceContext: traceContextOf(request) },
      );
      writeResponse(response, await invoke(this.#app, found.called.registered, invocation));
    } catch (error) {
      if (error instanceof BodyTooLargeError) {
        response.setHeader('connection', 'close');
        endWith(response, 413);
        return;
      }
      logFailure(this.#app, found.called.registered, error);
      endWith(response, 500);
    }
  }

  #find(method: string, path: string) {
    for (const called of this.#functions) {
      if (!called.methods.has(method)) {
        continue;
      }
      const parameters = matchRoute(called.route, path);
      if (parameters !== undefined) {
        return { called, parameters };
      }
    }
    return undefined;
  }
}

function describe(registered: RegisteredFunction, routePrefix: string): HttpFunction {
  const { name, binding } = triggerOf(registered);
  const own = resolveSettings(String(binding.route ?? registered.metadata.name));
  const methods = Array.isArray(binding.methods) ? binding.methods.map(String) : ['GET', 'POST'];
  return {
    registered,
    bindingName: name,
    methods: new Set(methods.map((method) => method.toUpperCase())),
    authLevel: String(binding.authLevel ?? 'anonymous'),
    route: parseRoute(own.startsWith('/') ? own : `${routePrefix}/${own}`),
  };
}

async function httpDataOf(
  request: IncomingMessage,
  url: URL,
  parameters: Record<string, string>,
): Promise<HttpData> {
  const body = await bodyThatArrives(request);
  const query: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    query[name] = name in query ? `${query[name]},${value}` : value;
  }
  return {
    method: request.method ?? 'GET',
    url: url.href,
    nullableHeaders: nullable(headersOf(request)),
    nullableQuery: nullable(query),
    nullableParams: nullable(parameters),
    ...(body.length > 0 && { body: { bytes: body } }),
  };
}

/** The real host hands a body over only where `Content-Length` announces one: of a chunked request none arrives. */
async function bodyThatArrives(request: IncomingMessage): Promise<Buffer> {
  const body = await readBody(request);
  return request.headers['content-length'] === undefined ? Buffer.alloc(0) : body;
}

function headersOf(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, asKestrelReads(String(value))]),
  );
}

/** Node takes the bytes of a header for Latin-1, the real host for UTF-8. */
function asKestrelReads(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}

function traceContextOf({ headers }: IncomingMessage) {
  return {
    traceParent: String(headers.traceparent ?? ''),
    traceState: String(headers.tracestate ?? ''),
    attributes: {},
  };
}

function nullable(values: Record<string, string>) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
}

function refuse(request: IncomingMessage, response: ServerResponse, status: number): void {
  request.resume();
  endWith(response, status);
}
