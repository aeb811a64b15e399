import type { Senders } from '../enrollment/pipeline/senders.ts';
import { WebhookKeys, type WebhookSecrets } from '../events/webhook-secrets.ts';
import { isSignedMessage } from '../events/webhook-signature.ts';
import type { Clock } from '../tools/clock.ts';
import { isEventInItself, readRequestBody } from './cloud-events-binding.ts';
import type { EventIntake } from './event-intake.ts';
import { type HttpResponse, problem } from './http-response.ts';
import type { RefusedRequests } from './refused-requests.ts';
import type { Request } from './request.ts';

export interface WebhookParts {
  readonly intake: EventIntake;
  readonly senders: Senders;
  readonly secrets: WebhookSecrets;
  readonly clock: Clock;
  readonly refusedRequests: RefusedRequests;
}

/**
 * `POST /api/webhooks/{sender}`. In this order: larger than any request may be, 413; not signed by the sender, 401; no
 * events, 400, 413 or 415; events beyond what the sender may send, 403; events that are wrong, 400.
 */
export class WebhookIntake {
  readonly #parts: WebhookParts;
  readonly #keys: WebhookKeys;

  constructor(parts: WebhookParts) {
    this.#parts = parts;
    this.#keys = new WebhookKeys(parts.secrets);
  }

  async accept(name: string, request: Request): Promise<HttpResponse> {
    const { intake, senders, clock, refusedRequests } = this.#parts;
    const { bytes, answer } = await readRequestBody(request);
    if (answer) {
      refusedRequests.note(answer);
      return answer;
    }
    const header = (of: string) => request.headers.get(of) ?? '';
    const message = { id: header('webhook-id'), timestamp: header('webhook-timestamp'), body: bytes };
    const isSigned = isSignedMessage(message, header('webhook-signature'), this.#keys.of(name), clock.now());
    const sender = senders.get(name);
    if (!isSigned || !sender) {
      const refused = notSigned();
      refusedRequests.note(refused, sender && name);
      return refused;
    }
    return intake.accept(asSigned(request, bytes), { name, violation: (event) => sender.violation(event) });
  }
}

/**
 * Headers are not signed. So that nobody turns a signed event into the data of another one by adding headers, those of
 * binary mode count only where the body is no event in itself.
 */
function asSigned(request: Request, bytes: Uint8Array): Request {
  const withBytes = { ...request, body: async () => bytes };
  if (request.headers.get('ce-specversion') === null || !isEventInItself(bytes)) {
    return withBytes;
  }
  const get = (name: string) => (name.startsWith('ce-') ? null : request.headers.get(name));
  return { ...withBytes, headers: { get } };
}

function notSigned(): HttpResponse {
  return problem({
    status: 401,
    detail:
      'Sign each request as Standard Webhooks says, with a secret of this sender: webhook-id, webhook-timestamp (not more than 5 minutes from now) and webhook-signature.',
  });
}
