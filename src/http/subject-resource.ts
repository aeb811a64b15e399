import type { DeviceProvisioningClient } from '../dps/client.ts';
import { DeviceProvisioningError } from '../dps/errors.ts';
import { ifFound } from '../dps/if-found.ts';
import type { DeviceRegistrationState, EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';
import { desiredState } from '../enrollment/desired-state.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/profiles.ts';
import { placeOf } from '../enrollment/subject-settlement.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/subject-state.ts';
import type { SubjectKind } from '../events/manufacturing-event.ts';
import { isDpsId } from '../events/read-event.ts';
import { type Answer, json, notFound, unavailable } from './answer.ts';
import { eventStatus } from './event-status.ts';
import { pageHeaders } from './html.ts';
import { preferredRepresentation, type Request } from './request.ts';
import type { ShouldBe, SubjectDocument } from './subject-document.ts';
import { subjectPage } from './subject-page.ts';
import { withoutSecrets } from './without-secrets.ts';

const eventsShown = 20;
const eventsPerPage = 100;

export interface SubjectParts {
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  readonly dps: DeviceProvisioningClient;
}

/** `GET /api/devices/{registrationId}`, `GET /api/batches/{batchId}` and their events. */
export class SubjectResource {
  readonly #parts: SubjectParts;

  constructor(parts: SubjectParts) {
    this.#parts = parts;
  }

  async show(kind: SubjectKind, id: string, request: Request): Promise<Answer> {
    const subject = namedSubject(kind, id);
    const { ledger } = this.#parts;
    const known = isDpsId(subject.id);
    let read: [
      SubjectState | undefined,
      IndividualEnrollment | EnrollmentGroup | undefined,
      DeviceRegistrationState | undefined,
    ];
    try {
      read = await Promise.all([
        ledger.readState(subject),
        known ? this.#enrollment(subject) : undefined,
        known && kind === 'device'
          ? ifFound(this.#parts.dps.deviceRegistrationStates.get(subject.id))
          : undefined,
      ]);
    } catch (error) {
      if (!(error instanceof DeviceProvisioningError)) throw error;
      return unavailable(`DPS does not say what is there: ${error.message}`);
    }
    const [state, is, did] = read;
    const events = await ledger.readEvents(subject);
    if (!state && !is && !did && events.length === 0)
      return notFound(`Neither an event nor DPS has spoken of the ${kind} ${id}.`);
    const document: SubjectDocument = {
      shouldBe: state ? this.#shouldBe(subject, state) : null,
      is: is ? withoutSecrets(is) : null,
      ...(kind === 'device' ? { did: did ?? null } : {}),
      events: events.slice(0, eventsShown).map(eventStatus),
    };
    if (preferredRepresentation(request, ['json', 'html']) === 'html')
      return { status: 200, headers: pageHeaders, body: subjectPage(subject, document) };
    return json(200, {
      [kind === 'device' ? 'registrationId' : 'batchId']: displayId(events[0]?.subject, is, subject),
      ...document,
    });
  }

  async showEvent(kind: SubjectKind, id: string, key: string): Promise<Answer> {
    const record = await this.#parts.ledger.readEvent(namedSubject(kind, id), key);
    return record
      ? json(200, eventStatus(record))
      : notFound(`No event of ${kind} ${id} has the key ${key}.`);
  }

  async listEvents(kind: SubjectKind, id: string, continuation: string | null): Promise<Answer> {
    const start = Math.max(0, Math.floor(Number(continuation ?? 0)) || 0);
    const events = await this.#parts.ledger.readEvents(namedSubject(kind, id));
    const next = start + eventsPerPage;
    return json(200, {
      events: events.slice(start, next).map(eventStatus),
      ...(events.length > next ? { continuation: String(next) } : {}),
    });
  }

  #enrollment(subject: SubjectRef): Promise<IndividualEnrollment | EnrollmentGroup | undefined> {
    const { dps } = this.#parts;
    return subject.kind === 'device'
      ? ifFound<IndividualEnrollment | EnrollmentGroup>(dps.individualEnrollments.get(subject.id))
      : ifFound<IndividualEnrollment | EnrollmentGroup>(dps.enrollmentGroups.get(subject.id));
  }

  #shouldBe(subject: SubjectRef, state: SubjectState): ShouldBe {
    const { registers } = state;
    const definition = registers.definitions[0]?.definition;
    const profile = definition ? this.#parts.profiles.for(definition.product) : undefined;
    const desired = desiredState(subject.kind, subject.id, registers, this.#parts.profiles);
    return {
      ...(definition ? { product: definition.product } : {}),
      ...(definition?.batch === undefined ? {} : { batch: definition.batch }),
      ...(profile ? { enrollment: profile.enrollment } : {}),
      ...placeOf(desired),
      life: lifeOf(subject.kind, state),
      inSync: isInSync(state),
      ...(state.lastEvent === undefined ? {} : { lastEvent: state.lastEvent }),
    };
  }
}

/** ASP.NET, and so the Functions host, leaves an encoded slash in a route parameter as it is. */
function namedSubject(kind: SubjectKind, parameter: string): SubjectRef {
  return subjectOf(kind, parameter.replace(/%2f/gi, '/'));
}

function lifeOf(kind: SubjectKind, { registers }: SubjectState): ShouldBe['life'] {
  const life = registers.life?.life;
  if (life !== undefined && life !== 'remanufactured') return life;
  if (registers.definitions.length === 0) return 'expected';
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
