import type { Clock } from '../clock.ts';
import { admit } from '../enrollment/admission.ts';
import { acceptedRecord } from '../enrollment/event-record.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/profiles.ts';
import { type EventRecord, isFinal } from '../enrollment/subject-state.ts';
import { type EventBus, EventBusUnavailableError } from '../events/event-bus.ts';
import type { ManufacturingEvent } from '../events/manufacturing-event.ts';
import { readEventText } from '../events/read-event.ts';
import { StorageUnavailableError } from '../storage/tables.ts';
import { type Answer, type EventError, json, problem, unavailable } from './answer.ts';
import { readRequestEvents } from './cloud-events-binding.ts';
import { eventStatus, statusUrl } from './event-status.ts';
import { originOf, type Request } from './request.ts';

const longestWaitInSeconds = 60;
const lookEveryInMs = 200;
const announcementsAtOnce = 32;

export interface IntakeParts {
  readonly profiles: EnrollmentProfiles;
  readonly ledger: Ledger;
  readonly bus: EventBus;
  readonly clock: Clock;
}

/** Says what of an event its sender may not send, where senders may not send everything. */
export type Permit = (event: ManufacturingEvent) => Pick<EventError, 'pointer' | 'detail'> | undefined;

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

  async accept(request: Request, permit: Permit = () => undefined): Promise<Answer> {
    const arrivedAt = this.#parts.clock.now();
    const found = await readRequestEvents(request);
    if (found.answer) return found.answer;
    const { valid, errors, beyond } = this.#validate(found.texts, arrivedAt, permit);
    if (beyond.length > 0) return notPermitted(beyond, found.texts.length);
    if (errors.length > 0) return invalid(errors, found.texts.length);
    try {
      await this.#announce(valid, arrivedAt);
      await this.#parts.bus.queueEvents(
        valid.map(({ text, event }) => ({
          key: event.key,
          body: text,
          attempt: 1,
          firstSeen: arrivedAt,
          announced: true,
        })),
      );
    } catch (error) {
      if (!(error instanceof EventBusUnavailableError) && !(error instanceof StorageUnavailableError))
        throw error;
      return unavailable(
        'The events could not all be queued. Send all of them again: what went through is recognised.',
      );
    }
    const waited = await this.#wait(request, valid);
    return waited ?? accepted(request, valid, found.single);
  }

  #validate(
    texts: readonly string[],
    arrivedAt: Date,
    permit: Permit,
  ): { valid: ValidEvent[]; errors: EventError[]; beyond: EventError[] } {
    const valid: ValidEvent[] = [];
    const errors: EventError[] = [];
    const beyond: EventError[] = [];
    texts.forEach((text, index) => {
      const read = readEventText(text, arrivedAt);
      const forbidden = read.kind === 'event' ? permit(read.event) : undefined;
      if (forbidden) {
        beyond.push({ index, reason: 'not-permitted', ...forbidden });
        return;
      }
      const rejection =
        read.kind === 'rejected'
          ? read.rejection
          : admit(read.event, this.#parts.profiles, arrivedAt).rejection;
      if (rejection)
        errors.push({
          index,
          pointer: rejection.pointer,
          reason: rejection.reason,
          detail: rejection.detail,
        });
      else if (read.kind === 'event') valid.push({ text, event: read.event });
    });
    return { valid, errors, beyond };
  }

  /** Before anything is queued: from the 202 on, each status URL answers. */
  async #announce(events: readonly ValidEvent[], arrivedAt: Date): Promise<void> {
    for (let start = 0; start < events.length; start += announcementsAtOnce) {
      const some = events.slice(start, start + announcementsAtOnce);
      await Promise.all(
        some.map(({ event }) =>
          this.#parts.ledger.announce(
            subjectOf(event.subjectKind, event.subject),
            acceptedRecord(event, arrivedAt),
          ),
        ),
      );
    }
  }

  /** `Prefer: wait=SECONDS` (RFC 7240): the outcomes, if all are final in time. */
  async #wait(request: Request, events: readonly ValidEvent[]): Promise<Answer | undefined> {
    const seconds = Number(
      /(?:^|[,;\s])wait\s*=\s*"?(\d+)/i.exec(request.headers.get('prefer') ?? '')?.[1] ?? 0,
    );
    if (!(seconds > 0)) return undefined;
    const { clock, ledger } = this.#parts;
    const deadline = clock.now().getTime() + Math.min(seconds, longestWaitInSeconds) * 1_000;
    const records = new Map<string, EventRecord>();
    for (;;) {
      const open = events.filter(({ event }) => !records.has(event.key)).slice(0, announcementsAtOnce);
      const read = await Promise.all(
        open.map(({ event }) => ledger.readEvent(subjectOf(event.subjectKind, event.subject), event.key)),
      );
      const ended = read.filter((record) => record !== undefined && isFinal(record.status));
      for (const record of ended) if (record) records.set(record.key, record);
      if (events.every(({ event }) => records.has(event.key))) break;
      if (clock.now().getTime() >= deadline) return undefined;
      if (ended.length < open.length) await clock.sleep(lookEveryInMs);
    }
    const statuses = events.flatMap(({ event }) => records.get(event.key) ?? []).map(eventStatus);
    return json(200, { events: statuses }, { 'preference-applied': `wait=${seconds}` });
  }
}

function accepted(request: Request, events: readonly ValidEvent[], single: boolean): Answer {
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

function notPermitted(errors: readonly EventError[], count: number): Answer {
  return problem({
    status: 403,
    type: 'not-permitted',
    title: 'Not permitted',
    detail: `${eventsOf(errors, count)} ${errors.length === 1 ? 'is' : 'are'} beyond what this sender may send. Nothing was queued and nothing kept.`,
    errors,
  });
}

function invalid(errors: readonly EventError[], count: number): Answer {
  return problem({
    status: 400,
    type: 'invalid-events',
    title: 'Invalid events',
    detail: `${eventsOf(errors, count)} cannot be taken. Nothing was queued and nothing kept: correct them and send all of them again.`,
    errors,
  });
}

function eventsOf(errors: readonly EventError[], count: number): string {
  return `${errors.length} of ${count} ${count === 1 ? 'event' : 'events'}`;
}
