import { type FailedAttempt, isFailed } from './attempt.ts';
import type { HttpResponse } from './http-exchange.ts';
import type { RawResponse, ResponseHeaders } from './operation-options.ts';
import type { ServiceCall, ServiceResponse } from './service-call.ts';

/** Shows a response to the caller's `onResponse`, whatever that does. */
export function reportResponse(
  call: ServiceCall,
  origin: string,
  response: HttpResponse,
  outcome: ServiceResponse | FailedAttempt,
): void {
  const { onResponse } = call.options;
  if (!onResponse) {
    return;
  }
  const raw: RawResponse = {
    status: response.statusCode,
    headers: headersOf(response),
    bodyAsText: response.text,
    request: { method: call.method, url: `${origin}${call.path}` },
  };
  try {
    if (isFailed(outcome)) {
      onResponse(raw, undefined, outcome.error);
    } else {
      onResponse(raw, outcome.body);
    }
  } catch {
    // An observer's trouble is not the call's.
  }
}

function headersOf({ headers }: HttpResponse): ResponseHeaders {
  const get = (name: string) => {
    const value = headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  return {
    get,
    has: (name) => get(name) !== undefined,
    toJSON: () => Object.fromEntries(Object.keys(headers).map((name) => [name, get(name) ?? ''])),
  };
}
