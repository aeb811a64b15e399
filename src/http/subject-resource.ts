import { hubAccessOf } from '../enrollment/hub-access/hub-access-of.ts';
import { desiredState, placeOf } from '../enrollment/ledger/desired-state.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/ledger/subject-state.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { type DpsViewParts, readDpsView } from './dps-view.ts';
import { eventStatus } from './event-status.ts';
import { badContinuation, type HttpResponse, json, notFound } from './http-response.ts';
import { preferredRepresentation, type Request } from './request.ts';
import type { NotKnown, ShouldBe, SubjectDocument } from './subject-document.ts';
import { withoutSecrets } from './without-secrets.ts';

const eventsShown = 20;
const eventsPerPage = 100;

export interface SubjectParts extends DpsViewParts {
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  /** As people see it. */
  readonly page: (kind: SubjectKind, id: string) => Promise<HttpResponse>;
}

/** `GET /api/devices/{registrationId}`, `GET /api/batches/{batchId}` and their events. */
export class SubjectResource {
  readonly #parts: SubjectParts;

  constructor(parts: SubjectParts) {
    this.#parts = parts;
  }

  async show(kind: SubjectKind, id: string, request: Request): Promise<HttpResponse> {
    const subject = namedSubject(kind, id);
    if (preferredRepresentation(request, ['json', 'html']) === 'html') {
      return this.#parts.page(kind, subject.id);
    }
    const { ledger } = this.#parts;
    const [state, events, inDps] = await Promise.all([
      ledger.readState(subject),
      ledger.readEvents(subject),
      readDpsView(this.#parts, subject),
    ]);
    const isKnown = state !== undefined || events.length > 0;
    if (inDps.unknown && !isKnown) {
      throw inDps.unknown;
    }
    const { is, did, unknown } = { is: undefined, did: undefined, ...inDps };
    if (!isKnown && !is && !did) {
      return notFound(`Neither an event nor DPS has spoken of the ${kind} ${id}.`);
    }
    const document: SubjectDocument = {
      shouldBe: state ? this.#shouldBe(subject, state, unknown ? 'unknown' : is) : null,
      ...(unknown
        ? { notKnown: notKnown(kind, unknown) }
        : {
            is: is ? withoutSecrets(is) : null,
            ...(kind === 'device' ? { did: did ?? null } : {}),
          }),
      events: events.slice(0, eventsShown).map(eventStatus),
    };
    return json(200, {
      [kind === 'device' ? 'registrationId' : 'batchId']: displayId(events[0]?.subject, is, subject),
      ...document,
    });
  }

  async showEvent(kind: SubjectKind, id: string, key: string): Promise<HttpResponse> {
    const record = await this.#parts.ledger.readEvent(namedSubject(kind, id), key);
    return record
      ? json(200, eventStatus(record))
      : notFound(`No event of ${kind} ${id} has the key ${key}.`);
  }

  async listEvents(kind: SubjectKind, id: string, continuation: string | null): Promise<HttpResponse> {
    if (continuation && !/^\d{1,9}$/.test(continuation)) {
      return badContinuation();
    }
    const start = Number(continuation || 0);
    const events = await this.#parts.ledger.readEvents(namedSubject(kind, id));
    const next = start + eventsPerPage;
    return json(200, {
      events: events.slice(start, next).map(eventStatus),
      ...(events.length > next ? { continuation: String(next) } : {}),
    });
  }

  #shouldBe(subject: SubjectRef, state: SubjectState, is: Seen): ShouldBe {
    const { registers } = state;
    const definition = registers.definitions[0]?.definition;
    const profile = definition ? this.#parts.profiles.for(definition.product) : undefined;
    const desired = desiredState(subject.kind, subject.id, registers, this.#parts.profiles);
    const hubAccess = hubAccessOf(state);
    return {
      ...(definition ? { product: definition.product } : {}),
      ...(definition?.batch === undefined ? {} : { batch: definition.batch }),
      ...(definition?.labels === undefined ? {} : { labels: definition.labels }),
      ...(registers.hold?.held && registers.hold.reason !== undefined
        ? { holdReason: registers.hold.reason }
        : {}),
      ...(profile ? { enrollment: profile.enrollment } : {}),
      ...placeOf(desired),
      life: lifeOf(subject.kind, state),
      ...(hubAccess === undefined ? {} : { hubAccess }),
      inSync: isInSync(state) && showsHold(placeOf(desired).provisioningStatus, is),
      ...(state.lastEvent === undefined ? {} : { lastEvent: state.lastEvent }),
    };
  }
}

type Seen = { readonly provisioningStatus?: string | null } | undefined | 'unknown';

/** A hold that DPS does not show is not in force, whatever was once told. */
function showsHold(wanted: string | undefined, is: Seen): boolean {
  return wanted !== 'disabled' || is === 'unknown' || is?.provisioningStatus === 'disabled';
}

function notKnown(kind: SubjectKind, { message }: Error): NotKnown {
  const members = kind === 'device' ? (['is', 'did'] as const) : (['is'] as const);
  return { members, detail: `Could not read from DPS now: ${message}` };
}

/** ASP.NET, and so the Functions host, leaves an encoded slash in a route parameter as it is. */
function namedSubject(kind: SubjectKind, parameter: string): SubjectRef {
  return subjectOf(kind, parameter.replace(/%2f/gi, '/'));
}

function lifeOf(kind: SubjectKind, { registers }: SubjectState): ShouldBe['life'] {
  const life = registers.life?.life;
  if (life !== undefined && life !== 'remanufactured') {
    return life;
  }
  if (registers.definitions.length === 0) {
    return 'expected';
  }
  return kind === 'device' ? 'manufactured' : 'started';
}

function displayId(written: string | undefined, is: object | undefined, subject: SubjectRef): string {
  const inDps =
    is &&
    ('registrationId' in is
      ? is.registrationId
      : 'enrollmentGroupId' in is
        ? is.enrollmentGroupId
        : undefined);
  return written ?? (typeof inDps === 'string' ? inDps : subject.id);
}
