import { acceptedRecord } from '../enrollment/ledger/event-record.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import { type EventRecord, isFinal } from '../enrollment/ledger/subject-state.ts';
import { allRejections } from '../enrollment/pipeline/event-evaluation.ts';
import type { EventBus } from '../events/event-bus.ts';
import type { ManufacturingEvent } from '../events/manufacturing-event.ts';
import type { Clock } from '../tools/clock.ts';
import { inParallel } from '../tools/in-parallel.ts';
import { type RequestEvent, readRequestEvents } from './cloud-events-binding.ts';
import { eventStatus, statusUrl } from './event-status.ts';
import { type EventError, type HttpResponse, json, problem } from './http-response.ts';
import { notNow } from './not-now.ts';
import type { RefusedRequests } from './refused-requests.ts';
import { originOf, type Request } from './request.ts';

const longestWaitInSeconds = 60;
const lookEveryInMs = 200;
const announcementsAtOnce = 32;

export interface IntakeParts {
  readonly profiles: EnrollmentProfiles;
  readonly ledger: Ledger;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly refusedRequests: RefusedRequests;
}

/** Who signed a request, and what of an event they may not send. */
export interface SigningSender {
  readonly name: string;
  violation(event: ManufacturingEvent): Pick<EventError, 'pointer' | 'detail'> | undefined;
}

interface ValidEvent {
  readonly text: string;
  readonly event: ManufacturingEvent;
}

/** Takes the events of a request: all of them are valid and queued, or none is. */
export class EventIntake {
  readonly #parts: IntakeParts;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  async accept(request: Request, sender?: SigningSender): Promise<HttpResponse> {
    const answer = await this.#accept(request, sender);
    this.#parts.refusedRequests.note(answer, sender?.name);
    return answer;
  }

  async #accept(request: Request, sender: SigningSender | undefined): Promise<HttpResponse> {
    const arrivedAt = this.#parts.clock.now();
    const found = await readRequestEvents(request);
    if (found.answer) {
      return found.answer;
    }
    const { valid, errors, violations } = this.#validate(found.events, arrivedAt, sender);
    if (violations.length > 0) {
      return notPermitted(violations, found.events.length);
    }
    if (errors.length > 0) {
      return invalid(errors, found.events.length);
    }
    try {
      await this.#announce(valid, arrivedAt);
      await this.#parts.bus.queueEvents(
        valid.map(({ text, event }) => ({
          key: event.key,
          body: text,
          attempt: 1,
          firstSeen: arrivedAt,
          announced: true,
          sender: sender?.name,
        })),
      );
    } catch (error) {
      const detail =
        'The events could not all be queued. Send all of them again: what went through is recognised.';
      const answer = notNow(error, arrivedAt, detail);
      if (!answer) {
        throw error;
      }
      return answer;
    }
    const waited = await this.#wait(request, valid);
    return waited ?? accepted(request, valid, found.single);
  }

  #validate(
    events: readonly RequestEvent[],
    arrivedAt: Date,
    sender: SigningSender | undefined,
  ): { valid: ValidEvent[]; errors: EventError[]; violations: EventError[] } {
    const valid: ValidEvent[] = [];
    const errors: EventError[] = [];
    const violations: EventError[] = [];
    events.forEach(({ text, read: readAt }, index) => {
      const read = readAt(arrivedAt);
      const violation = read.event && sender?.violation(read.event);
      if (violation) {
        violations.push({ index, reason: 'not-permitted', ...violation });
        return;
      }
      const rejections = allRejections(read, this.#parts.profiles, arrivedAt);
      for (const { pointer, reason, detail } of rejections) {
        errors.push({ index, pointer, reason, detail });
      }
      if (read.kind === 'event' && rejections.length === 0) {
        valid.push({ text, event: read.event });
      }
    });
    return { valid, errors, violations };
  }

  /** Before anything is queued: from the 202 on, each status URL answers. */
  async #announce(events: readonly ValidEvent[], arrivedAt: Date): Promise<void> {
    await inParallel(events, announcementsAtOnce, ({ event }) =>
      this.#parts.ledger.announce(
        subjectOf(event.subjectKind, event.subject),
        acceptedRecord(event, arrivedAt),
      ),
    );
  }

  /** `Prefer: wait=SECONDS` (RFC 7240): the outcomes, if all are final in time. */
  async #wait(request: Request, events: readonly ValidEvent[]): Promise<HttpResponse | undefined> {
    const seconds = Number(
      /(?:^|[,;\s])wait\s*=\s*"?(\d+)/i.exec(request.headers.get('prefer') ?? '')?.[1] ?? 0,
    );
    if (!(seconds > 0)) {
      return undefined;
    }
    const { clock, ledger } = this.#parts;
    const deadline = clock.now().getTime() + Math.min(seconds, longestWaitInSeconds) * 1_000;
    const statuses = new Map<ValidEvent, object>();
    for (;;) {
      const open = events.filter((each) => !statuses.has(each)).slice(0, announcementsAtOnce);
      const ended = await Promise.all(
        open.map(async ({ event }) =>
          finalStatus(event, await ledger.readEvent(subjectOf(event.subjectKind, event.subject), event.key)),
        ),
      );
      open.forEach((each, index) => {
        const status = ended[index];
        if (status) {
          statuses.set(each, status);
        }
      });
      if (statuses.size === events.length) {
        break;
      }
      if (clock.now().getTime() >= deadline) {
        return undefined;
      }
      if (ended.includes(undefined)) {
        await clock.sleep(lookEveryInMs);
      }
    }
    const inOrder = events.map((each) => statuses.get(each));
    return json(200, { events: inOrder }, { 'preference-applied': `wait=${seconds}` });
  }
}

/** Undefined while it is open. Another event under the same identity is the first one's reuse, however that one ends. */
function finalStatus(event: ManufacturingEvent, record: EventRecord | undefined): object | undefined {
  if (!record) {
    return undefined;
  }
  if (record.fingerprint === event.fingerprint) {
    return isFinal(record.status) ? eventStatus(record) : undefined;
  }
  const { key, source, id, type, subject, time } = event;
  const detail = `Another event with this source, id and subject came before, at ${record.receivedAt}. Give every event an id of its own.`;
  const rejected = { status: 'rejected', reason: 'id-reuse', pointer: '/id', detail, warnings: [] };
  return { key, source, id, type, subject, time, ...rejected };
}

function accepted(request: Request, events: readonly ValidEvent[], single: boolean): HttpResponse {
  const list = events.map(({ event }, index) => ({
    index,
    source: event.source,
    id: event.id,
    key: event.key,
    status: statusUrl(originOf(request), event),
  }));
  const [first] = list;
  return json(202, { accepted: list }, single && first ? { location: first.status } : {});
}

function notPermitted(errors: readonly EventError[], count: number): HttpResponse {
  return problem({
    status: 403,
    type: 'not-permitted',
    title: 'Not permitted',
    detail: `${eventsOf(errors, count)} ${errors.length === 1 ? 'is' : 'are'} beyond what this sender may send. Nothing was queued and nothing kept.`,
    errors,
  });
}

function invalid(errors: readonly EventError[], count: number): HttpResponse {
  return problem({
    status: 400,
    type: 'invalid-events',
    title: 'Invalid events',
    detail: `${eventsOf(errors, count)} cannot be taken. Nothing was queued and nothing kept: correct them and send all of them again.`,
    errors,
  });
}

function eventsOf(errors: readonly EventError[], count: number): string {
  const wrong = new Set(errors.map(({ index }) => index)).size;
  return `${wrong} of ${count} ${count === 1 ? 'event' : 'events'}`;
}
