import * as z from 'zod';
import {
  isContinuation,
  type RejectedEvents,
  type RejectedFilter,
} from '../enrollment/rejected/rejected-events.ts';
import type { RejectedReplay } from '../enrollment/rejected/rejected-replay.ts';
import { decodeJson } from '../events/decode-json.ts';
import type { Clock } from '../tools/clock.ts';
import { badContinuation, type HttpResponse, json, problem } from './http-response.ts';
import { notNow } from './not-now.ts';
import type { Request } from './request.ts';

const eventsPerPage = 100;
const maxBodyBytes = 1024 * 1024;

const instant = z.iso.datetime({ offset: true }).or(z.iso.date());
export const replaySchema = z.union([
  z.strictObject({ keys: z.array(z.string().min(1)).min(1).max(1_000) }),
  z
    .strictObject({ reason: z.string().optional(), since: instant.optional(), until: instant.optional() })
    .refine((filter) => Object.keys(filter).length > 0),
]);

/** `GET /api/rejected` and `POST /api/rejected/replay`. */
export class RejectedResource {
  readonly #events: RejectedEvents;
  readonly #replay: RejectedReplay;
  readonly #clock: Clock;

  constructor(events: RejectedEvents, replay: RejectedReplay, clock: Clock) {
    this.#events = events;
    this.#replay = replay;
    this.#clock = clock;
  }

  async list({ query }: Request): Promise<HttpResponse> {
    const filter: RejectedFilter = {
      reason: query.get('reason') ?? undefined,
      since: query.get('since') ?? undefined,
      until: query.get('until') ?? undefined,
    };
    for (const name of ['since', 'until'] as const) {
      if (filter[name] !== undefined && !instant.safeParse(filter[name]).success) {
        return problem({ status: 400, detail: `${name} must be an RFC 3339 date-time or a date.` });
      }
    }
    const continuation = query.get('continuation') || undefined;
    if (continuation !== undefined && !isContinuation(continuation)) {
      return badContinuation();
    }
    const page = await this.#events.page(filter, eventsPerPage, continuation);
    const rejected = page.events.map(({ notReplayable: _, replay: __, sender: ___, ...event }) => event);
    return json(200, {
      rejected,
      ...(page.continuation === undefined ? {} : { continuation: page.continuation }),
    });
  }

  async replay(request: Request): Promise<HttpResponse> {
    const bytes = await request.body();
    if (bytes.length > maxBodyBytes) {
      return problem({ status: 413, detail: `The body is larger than ${maxBodyBytes} bytes.` });
    }
    const chosen = replaySchema.safeParse(parse(bytes));
    if (!chosen.success) {
      return problem({
        status: 400,
        detail: 'Send {"keys": […]}, at most 1000 of them, or at least one of "reason", "since" and "until".',
      });
    }
    const now = this.#clock.now();
    try {
      return json(200, await this.#replay.replay(chosen.data, now));
    } catch (error) {
      const detail = 'Not all events could be queued. Replay them again: what went through is recognised.';
      const answer = notNow(error, now, detail);
      if (!answer) {
        throw error;
      }
      return answer;
    }
  }
}

function parse(bytes: Uint8Array): unknown {
  const decoded = decodeJson(bytes);
  return decoded.problem ? undefined : decoded.value;
}
