import type { Log } from '../tools/log.ts';
import type { HttpResponse } from './http-response.ts';

/**
 * Leaves a log line for each request with events that was refused, so that somebody sees a sender that fails all night:
 * nothing else is kept of such requests. `refused` counts them since this instance started.
 */
export class RefusedRequests {
  readonly #log: Log;
  #refused = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  note({ status, body }: HttpResponse, sender?: string): void {
    if (status < 400) {
      return;
    }
    this.#refused++;
    this.#log('warning', 'request-refused', {
      status,
      sender,
      ...(status < 500 ? { reasons: reasonsOf(body) } : {}),
      refused: this.#refused,
    });
  }
}

/** How often each reason occurs among the errors. Nothing else of the request is logged. */
function reasonsOf(body: string | undefined): Record<string, number> | undefined {
  const { errors } = JSON.parse(body ?? '{}') as { errors?: { reason: string }[] };
  if (!errors) {
    return undefined;
  }
  const counts: Record<string, number> = {};
  for (const { reason } of errors) {
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}
