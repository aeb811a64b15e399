import type { AuditRunner } from '../audit/audit-runner.ts';
import { AuditRunningError } from '../audit/audit-running-error.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger/ledger.ts';
import { isInSync } from '../enrollment/ledger/subject-state.ts';
import type { BackgroundQueue } from '../enrollment/pipeline/background-queue.ts';
import type { RejectedReplay } from '../enrollment/rejected/rejected-replay.ts';
import { isJsonObject } from '../events/json.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import type { FleetLists } from '../fleet/fleet-list.ts';
import type { Clock } from '../tools/clock.ts';
import { inParallel } from '../tools/in-parallel.ts';
import type { EventIntake } from './event-intake.ts';
import type { HttpResponse } from './http-response.ts';
import type { Request } from './request.ts';
import type { Person } from './sign-in.ts';

export interface FleetFormsParts {
  readonly intake: EventIntake;
  readonly replay: RejectedReplay;
  readonly background: BackgroundQueue;
  readonly ledger: Ledger;
  readonly fleetLists: FleetLists;
  readonly clock: Clock;
  /** Built only when an audit is started. */
  readonly auditRunner: AuditRunner;
}

/** What became of a form, by a name that the page has words for. */
export type Done =
  | 'held'
  | 'released'
  | 'sent'
  | 'accepted'
  | 'replayed'
  | 'nothing-replayed'
  | 'retried'
  | 'still-waiting'
  | 'audit-started'
  | 'audit-running';

export interface EventMistake {
  readonly pointer: string;
  readonly detail: string;
}

export type Sent = { readonly done: Done } | { readonly mistakes: readonly EventMistake[] };

const waitInSeconds = 8;
const retriedAtOnce = 8;
const retriedAtMost = 200;
const retryForMs = 20_000;
const lookEveryInMs = 200;
const idPattern = /^[0-9a-f-]{36}$/;

/** What people do: an event like any other, with their name as its source, or another try. */
export class FleetForms {
  readonly #parts: FleetFormsParts;

  constructor(parts: FleetFormsParts) {
    this.#parts = parts;
  }

  async hold(kind: SubjectKind, id: string, person: Person, fields: URLSearchParams): Promise<Sent> {
    const reason = (fields.get('reason') ?? '').trim();
    if (reason === '' || reason.length > 256) {
      return { mistakes: [{ pointer: '/data/reason', detail: 'Give a reason, of 256 characters at most.' }] };
    }
    return this.#send(kind, 'held', id, person, fields, { reason });
  }

  release(kind: SubjectKind, id: string, person: Person, fields: URLSearchParams): Promise<Sent> {
    return this.#send(kind, 'released', id, person, fields, undefined);
  }

  /** The text that a person has mended, under a name of its own. */
  async sendCopy(text: string, person: Person, fields: URLSearchParams): Promise<Sent> {
    let event: unknown;
    try {
      event = JSON.parse(text);
    } catch (error) {
      return { mistakes: [{ pointer: '', detail: `It is not JSON: ${(error as Error).message}` }] };
    }
    if (!isJsonObject(event)) {
      return { mistakes: [{ pointer: '', detail: 'It must be a JSON object: a CloudEvent.' }] };
    }
    return this.#queue({ ...event, id: idOf(fields), source: sourceOf(person) }, 'sent');
  }

  async replayKeys(keys: readonly string[]): Promise<Done> {
    if (keys.length === 0) {
      return 'nothing-replayed';
    }
    const { replayed } = await this.#parts.replay.replay(
      { keys: keys.slice(0, 1_000) },
      this.#parts.clock.now(),
    );
    return replayed > 0 ? 'replayed' : 'nothing-replayed';
  }

  /** Does at once what would be tried later. */
  async retry(kind: SubjectKind, id: string): Promise<Done> {
    return (await this.#complete(kind, id)) ? 'retried' : 'still-waiting';
  }

  async retryAll(): Promise<Done> {
    const { fleetLists, clock } = this.#parts;
    const kinds = ['batch', 'device'] as const;
    const pages = await Promise.all(
      kinds.map((kind) => fleetLists.page(kind, { pending: true }, { size: retriedAtMost })),
    );
    const entries = pages.flatMap(({ entries: some }, index) =>
      some.map(({ id }) => ({ kind: kinds[index] ?? 'device', id })),
    );
    const until = clock.now().getTime() + retryForMs;
    let done = 0;
    await inParallel(entries, retriedAtOnce, async ({ kind, id }) => {
      const isDone = clock.now().getTime() < until && (await this.#complete(kind, id));
      done += isDone ? 1 : 0;
    });
    return entries.length > 0 && done < entries.length ? 'still-waiting' : 'retried';
  }

  async startAudit(): Promise<Done> {
    try {
      await this.#parts.auditRunner.start();
      return 'audit-started';
    } catch (error) {
      if (!(error instanceof AuditRunningError)) {
        throw error;
      }
      return 'audit-running';
    }
  }

  async #complete(kind: SubjectKind, id: string): Promise<boolean> {
    const { background, ledger, clock } = this.#parts;
    const subject = subjectOf(kind, id);
    const before = await ledger.readState(subject);
    if (!before || isInSync(before)) {
      return true;
    }
    await background.retryNow(subject, before);
    const until = clock.now().getTime() + retryForMs;
    for (;;) {
      const state = await ledger.readState(subject);
      if (!state || isInSync(state)) {
        return true;
      }
      if (clock.now().getTime() >= until) {
        return false;
      }
      await clock.sleep(lookEveryInMs);
    }
  }

  #send(
    kind: SubjectKind,
    done: 'held' | 'released',
    subject: string,
    person: Person,
    fields: URLSearchParams,
    data: object | undefined,
  ): Promise<Sent> {
    return this.#queue(
      {
        specversion: '1.0',
        id: idOf(fields),
        source: sourceOf(person),
        type: `${kind}.${done}`,
        subject,
        time: this.#parts.clock.now().toISOString(),
        ...(data ? { datacontenttype: 'application/json', data } : {}),
      },
      done,
    );
  }

  async #queue(event: object, done: Done): Promise<Sent> {
    const answer = await this.#parts.intake.accept(requestOf(event));
    if (answer.status === 200) {
      const { events } = JSON.parse(answer.body ?? '{}') as { events?: { status: string }[] };
      return { done: events?.[0]?.status === 'succeeded' ? done : 'accepted' };
    }
    return answer.status === 202 ? { done: 'accepted' } : { mistakes: mistakesOf(answer) };
  }
}

/** An id that the page made, so that a form that is sent twice is one event. */
function idOf(fields: URLSearchParams): string {
  const id = fields.get('id') ?? '';
  return idPattern.test(id) ? id : crypto.randomUUID();
}

export function sourceOf(person: Person): string {
  return `/people/${encodeURIComponent(person.account)}`.slice(0, 1_024);
}

function mistakesOf({ body = '{}' }: HttpResponse): EventMistake[] {
  const { detail, errors } = JSON.parse(body) as { detail?: string; errors?: EventMistake[] };
  if (errors && errors.length > 0) {
    return errors.map(({ pointer, detail: text }) => ({ pointer, detail: text }));
  }
  return [{ pointer: '', detail: detail ?? 'It was not taken.' }];
}

/** As if it had come over HTTP. */
function requestOf(event: object): Request {
  const headers = new Map([
    ['content-type', 'application/cloudevents+json'],
    ['prefer', `wait=${waitInSeconds}`],
  ]);
  return {
    method: 'POST',
    url: 'http://localhost/api/events',
    headers: { get: (name) => headers.get(name) ?? null },
    query: { get: () => null },
    params: {},
    body: async () => Buffer.from(JSON.stringify(event)),
  };
}
