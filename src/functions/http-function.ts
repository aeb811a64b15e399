import { app, type HttpMethod, type HttpRequest } from '@azure/functions';

import { redactSecrets } from '../events/redact-secrets.ts';
import { type HttpResponse, problem } from '../http/http-response.ts';
import type { Request } from '../http/request.ts';
import { consoleLog as log } from '../tools/log.ts';
import { noteFailure } from './failed-invocations.ts';

interface Route {
  /** Below `/api/`: pages for people lie beside that, so the host has no prefix of its own. */
  readonly route: string;
  readonly methods: readonly HttpMethod[];
  /** Keys are checked by the host, for a whole function. */
  readonly auth: 'key' | 'none';
  readonly handle: (request: Request) => Promise<HttpResponse>;
}

/** Registers one route. What the domain throws is answered without its words: they may hold what callers must not see. */
export function httpFunction(name: string, { route, auth, ...rest }: Route): void {
  register(name, `api/${route}`, auth === 'key' ? 'function' : 'anonymous', rest);
}

/** Registers what lies beside the API: it looks itself who asks. */
export function siteFunction(name: string, { route, ...rest }: Omit<Route, 'auth'>): void {
  register(name, route, 'anonymous', rest);
}

function register(
  name: string,
  route: string,
  authLevel: 'function' | 'anonymous',
  { methods, handle }: Pick<Route, 'methods' | 'handle'>,
): void {
  app.http(name, {
    route,
    methods: [...methods],
    authLevel,
    handler: async (request, context) => {
      if (isBodyLost(request)) {
        return lengthRequired();
      }
      let body = new Uint8Array();
      const readBody = async () => {
        body = new Uint8Array(await request.arrayBuffer());
        return body;
      };
      const answer = await handle(requestOf(request, readBody)).catch(async (error: unknown) => {
        // What knows all that may be away is loaded with the rest of the app, not at start.
        const { notNow } = await import('../http/not-now.ts');
        const away = notNow(error, new Date());
        if (away) {
          return away;
        }
        context.error(redactSecrets(error, new TextDecoder().decode(body)));
        return problem({
          status: 500,
          detail: `Something went wrong here. The log has more under invocation ${context.invocationId}.`,
        });
      });
      if (answer.status === 503) {
        log('warning', 'not-now', { function: name, invocation: context.invocationId });
      } else if (answer.status >= 500) {
        noteFailure(name, context.invocationId, String(answer.status));
      }
      return answer;
    },
  });
}

/** The Functions host hands no body over that comes in chunks: what was sent is not known here. */
function isBodyLost({ headers, body }: HttpRequest): boolean {
  return headers.has('transfer-encoding') && body === null;
}

function lengthRequired(): HttpResponse {
  return problem({
    status: 411,
    detail:
      'The body came in chunks, of which Azure Functions hands none over. Send it whole, with a Content-Length.',
  });
}

function requestOf(request: HttpRequest, body: Request['body']): Request {
  const { method, url, headers, query, params } = request;
  return { method, url, headers, query, params, body };
}
