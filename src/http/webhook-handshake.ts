import { type HttpResponse, problem } from './http-response.ts';
import type { Request } from './request.ts';

/** CloudEvents webhook abuse protection: the sender asks, we allow it. `WebHook-Request-Callback` is never called. */
export function answerHandshake(request: Request): HttpResponse {
  const origin = request.headers.get('webhook-request-origin');
  if (origin === null || origin.trim() === '') {
    return problem({
      status: 400,
      detail: 'Send the header WebHook-Request-Origin.',
      headers: { allow: 'POST, OPTIONS' },
    });
  }
  const rate = request.headers.get('webhook-request-rate');
  return {
    status: 200,
    headers: {
      allow: 'POST, OPTIONS',
      'webhook-allowed-origin': origin,
      ...(rate === null ? {} : { 'webhook-allowed-rate': '*' }),
    },
  };
}
