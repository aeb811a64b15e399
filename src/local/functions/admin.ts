import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FunctionApp, triggerOf } from './function-app.ts';
import { readBody } from './http-body.ts';
import { endWith } from './http-response.ts';
import { invoke, logFailure } from './invocation.ts';
import { isAuthorized, type Keys } from './keys.ts';
import type { RegisteredFunction } from './protocol.ts';
import { invocationByHand } from './service-bus-message.ts';
import { runTimer } from './timer-trigger.ts';

const functionsPath = '/admin/functions/';

/** `/admin`: the state of the host, the functions, and `POST /admin/functions/{name}`, which runs one by hand. */
export async function handleAdmin(
  app: FunctionApp,
  keys: Keys,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  if (!isAuthorized(request, url, 'admin', keys)) {
    request.resume();
    endWith(response, 401);
    return;
  }
  const body = await readBody(request);
  if (request.method === 'GET' && url.pathname === '/admin/host/status') {
    endWith(response, 200, { id: 'local', state: 'Running' });
    return;
  }
  if (request.method === 'GET' && url.pathname === '/admin/functions') {
    endWith(
      response,
      200,
      [...app.functions.keys()].map((name) => ({ name })),
    );
    return;
  }
  const name = url.pathname.startsWith(functionsPath) ? url.pathname.slice(functionsPath.length) : '';
  const registered = findFunction(app, name);
  if (request.method !== 'POST' || registered === undefined) {
    endWith(response, 404);
    return;
  }
  endWith(response, runByHand(app, registered, body) ? 202 : 400);
}

function findFunction(app: FunctionApp, name: string): RegisteredFunction | undefined {
  const wanted = name.toLowerCase();
  return [...app.functions.values()].find(({ metadata }) => metadata.name.toLowerCase() === wanted);
}

/** The answer does not wait for the run. An HTTP function is not run like this. */
function runByHand(app: FunctionApp, registered: RegisteredFunction, body: Buffer): boolean {
  const trigger = triggerOf(registered);
  const input = inputOf(body);
  if (input === undefined) {
    return false;
  }
  if (trigger.type === 'timertrigger') {
    void runTimer(app, registered);
    return true;
  }
  if (trigger.type !== 'servicebustrigger') {
    return false;
  }
  invoke(app, registered, invocationByHand(trigger.name, trigger.binding, input)).catch((error) =>
    logFailure(app, registered, error),
  );
  return true;
}

/** `{ "input": "…" }`; no body at all is an empty input. */
function inputOf(body: Buffer): string | undefined {
  if (body.length === 0) {
    return '';
  }
  try {
    const input = (JSON.parse(body.toString('utf8')) as { input?: unknown } | null)?.input ?? '';
    return typeof input === 'string' ? input : JSON.stringify(input);
  } catch {
    return undefined;
  }
}
