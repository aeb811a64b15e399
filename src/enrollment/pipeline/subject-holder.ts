import { randomUUID } from 'node:crypto';
import type { DeviceRegistrationState } from '../../dps/models.ts';
import { RowConflictError } from '../../storage/tables.ts';
import type { Clock } from '../../tools/clock.ts';
import { DpsRejectedError } from '../dps-access/dps-rejected-error.ts';
import type { GroupRetirement } from '../dps-access/group-retirement.ts';
import { type Attempt, type Reconciler, StateChangedError } from '../dps-access/reconciler.ts';
import type { RegistrationRecords } from '../dps-access/registration-records.ts';
import { RemoteEnrollment } from '../dps-access/remote-enrollment.ts';
import { RetryLaterError } from '../dps-access/retry-later-error.ts';
import type { HubAttempt, HubFindings, HubKnowledge, SubjectHubs } from '../hub-access/subject-hubs.ts';
import { awaitedKeys, type DesiredState, desiredState, isKeptOut } from '../ledger/desired-state.ts';
import { leaseOf, parked } from '../ledger/lease.ts';
import type { Ledger, LedgerView } from '../ledger/ledger.ts';
import type { EnrollmentProfiles } from '../ledger/profiles.ts';
import type { EventRecord, SubjectState } from '../ledger/subject-state.ts';
import type { Delivery } from './delivery.ts';
import type { EventRejections } from './event-rejections.ts';
import { type Findings, finishedState, rolledBack } from './finish.ts';
import { nextAttemptAt } from './retry-schedule.ts';

export interface HolderParts {
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  readonly reconciler: Reconciler;
  readonly retirement: GroupRetirement;
  readonly registrations: RegistrationRecords;
  readonly rejections: EventRejections;
  /** Absent: the hubs are left alone. */
  readonly hubs?: SubjectHubs | undefined;
  readonly clock: Clock;
  readonly random?: () => number;
}

export type Held =
  /** DPS agrees, and all pending events have ended. */
  | { readonly kind: 'finished'; readonly view: LedgerView; readonly ended: readonly EventRecord[] }
  /** The lease waits for this message to come again: after a failed attempt, or for the next slice of long work. */
  | { readonly kind: 'parked'; readonly notBefore: Date; readonly error: RetryLaterError | undefined }
  /** Somebody else has the lease, or only another message holds the keys that are needed. */
  | { readonly kind: 'lost' };

interface Hold {
  readonly delivery: Delivery;
  readonly remote: RemoteEnrollment;
  readonly takenAt: number;
  /** An enrollment of it may have been there before. */
  mayHaveBeenLetIn: boolean;
  view: LedgerView;
  /** The first call to DPS follows so soon on taking the lease that nothing can have changed. */
  isFirstCall: boolean;
}

const soonInMs = 50;

/** Completes a device or batch for the delivery that has its lease: makes DPS agree, and ends all pending events. */
export class SubjectHolder {
  readonly #parts: HolderParts;

  constructor(parts: HolderParts) {
    this.#parts = parts;
  }

  async hold(view: LedgerView, delivery: Delivery, mayExist: boolean): Promise<Held> {
    const remote = new RemoteEnrollment(view.state, { mayExist, verifies: delivery.event === undefined });
    const takenAt = this.#now();
    const hold: Hold = {
      ...{ delivery, remote, takenAt, view },
      mayHaveBeenLetIn: mayExist,
      isFirstCall: true,
    };
    for (;;) {
      try {
        return await this.#attempt(hold);
      } catch (error) {
        if (!(error instanceof StateChangedError) && !(error instanceof RowConflictError)) {
          throw error;
        }
        // This holder may have let it in, by what was wanted before.
        hold.mayHaveBeenLetIn = true;
        hold.view = await this.#parts.ledger.read(view.subject);
      }
    }
  }

  async #attempt(hold: Hold): Promise<Held> {
    if (!isHolder(hold)) {
      return { kind: 'lost' };
    }
    try {
      return await this.#complete(hold);
    } catch (error) {
      if (error instanceof DpsRejectedError) {
        return this.#rollBack(hold, error);
      }
      if (error instanceof RetryLaterError) {
        return this.#park(hold, error);
      }
      throw error;
    }
  }

  async #complete(hold: Hold): Promise<Held> {
    const { delivery, remote, view } = hold;
    const { registers } = view.state;
    const desired = this.#desired(view);
    const awaited = awaitedKeys(desired, registers);
    if (awaited !== undefined && awaited !== delivery.event?.identity.key) {
      return this.#giveBack(hold);
    }
    if (this.#now() >= delivery.deadline) {
      throw new RetryLaterError('The attempt took too long.', { soon: true });
    }
    const attempt = this.#attemptOf(hold);
    if (desired.kind === 'no-group' && (await this.#retire(hold, attempt)) === 'more') {
      return this.#park(hold, undefined);
    }
    const shown = await this.#parts.reconciler.apply(attempt, desired);
    const registration = await this.#registration(hold, attempt, desired);
    // DPS first: nothing that the hubs are told can then be undone by a registration that has yet to begin.
    const hubs = await this.#parts.hubs?.settle(this.#hubAttempt(hold, desired, registration));
    if (hubs?.isMore) {
      return this.#park(hold, undefined);
    }
    await this.#forgetRegistration(hold, attempt, registration, hubs);
    return this.#finish(hold, { subject: view.subject, desired, remote, shown, registration, hubs });
  }

  #retire(hold: Hold, attempt: Attempt): Promise<'done' | 'more'> {
    const { retirement, hubs } = this.#parts;
    const task = { ...attempt, tries: hold.delivery.tries };
    return retirement.slice(attempt, hubs?.beforeDeletion(task));
  }

  #hubAttempt(
    hold: Hold,
    desired: DesiredState,
    registration: DeviceRegistrationState | undefined,
  ): HubAttempt {
    const { delivery, view, mayHaveBeenLetIn } = hold;
    return {
      ...{ subject: view.subject, state: view.state, desired, registration, mayHaveBeenLetIn },
      isLook: delivery.errand !== undefined,
      tries: delivery.tries,
      deadline: delivery.deadline,
      isWanted: () => this.#isWanted(hold),
      remember: (known: HubKnowledge) => this.#write(hold, { ...hold.view.state, ...known }),
    };
  }

  #attemptOf(hold: Hold): Attempt {
    const { delivery, remote, view } = hold;
    const { keys } = view.state.registers;
    const bringsKeys = keys !== undefined && keys.version.key === delivery.event?.identity.key;
    return {
      subject: view.subject,
      remote,
      deadline: delivery.deadline,
      // The keys of an event whose register another one holds by now are nobody's.
      suppliedKeys: bringsKeys && !keys.applied ? delivery.event?.evaluation.suppliedKeys : undefined,
      closed: view.state.closed,
      wasNeverAccepted: !view.state.registers.definitions.some(({ accepted }) => accepted),
      isWanted: () => this.#isWanted(hold),
      rememberClosing: async (closed) => {
        if (closed !== undefined && closed !== hold.view.state.closed) {
          await this.#write(hold, { ...hold.view.state, closed });
        }
      },
    };
  }

  async #isWanted(hold: Hold): Promise<boolean> {
    const isFirst = hold.isFirstCall;
    hold.isFirstCall = false;
    if (isFirst && this.#now() - hold.takenAt < soonInMs) {
      return true;
    }
    return this.#parts.ledger.isCurrent(hold.view);
  }

  /** Of devices that are kept out, and of those whose record is to be deleted. */
  async #registration(
    { view: { subject, state } }: Hold,
    attempt: Attempt,
    desired: DesiredState,
  ): Promise<DeviceRegistrationState | undefined> {
    const isRead = isRecordDeleted(state) || isKeptOut(desired, state.registers);
    return subject.kind === 'batch' || !isRead
      ? undefined
      : this.#parts.registrations.get(subject.id, attempt);
  }

  /** Deletes the record that the return register names, last: it alone says where the device is connected. */
  async #forgetRegistration(
    hold: Hold,
    attempt: Attempt,
    registration: DeviceRegistrationState | undefined,
    hubs: HubFindings | undefined,
  ): Promise<void> {
    const { state } = hold.view;
    const register = state.registers.return;
    if (!register || !registration || !isRecordDeleted(state)) {
      return;
    }
    const hub = registration.status === 'assigned' ? registration.assignedHub : undefined;
    const places = hubs?.known.hubs;
    const isNews = hub !== state.assignedHub || places?.length !== state.hubs?.length;
    if (hub !== undefined && isNews) {
      // Written first: once the record is gone, nobody else knows where the device is connected. Where a look is to
      // follow, another attempt must not find them settled before it is noted.
      const known = hubs?.needsLook
        ? places?.map((place) => ({ ...place, access: 'pending' as const }))
        : places;
      await this.#write(hold, { ...state, ...(known ? { hubs: known } : {}), assignedHub: hub });
    }
    await this.#parts.registrations.remove(registration, register.notAfter, attempt);
  }

  async #finish(hold: Hold, findings: Findings): Promise<Held> {
    const { delivery, remote } = hold;
    const { state: before } = hold.view;
    const own = delivery.event?.identity.key;
    const { state, ended } = finishedState(before, findings, this.#parts.clock.now());
    const due = before.outcomesDue ?? [];
    const keys = ended.map(({ key }) => key);
    const outcomesDue =
      due.length > 0 || keys.some((key) => key !== own) ? [...new Set([...due, ...keys])] : [];
    const doubts = remote.inDoubt && findings.desired.kind !== 'nothing';
    const looks = doubts || findings.hubs?.needsLook === true;
    const look = looks ? randomUUID() : lookAfter(before, delivery);
    await this.#noteRejections(hold, ended);
    await this.#write(
      hold,
      {
        ...state,
        ...(outcomesDue.length > 0 ? { outcomesDue } : {}),
        ...(look === undefined ? {} : { look }),
      },
      ended,
    );
    return { kind: 'finished', view: hold.view, ended };
  }

  /** Before the events end: what is rejected must be on record for the person who mends it. */
  async #noteRejections({ delivery, view }: Hold, ended: readonly EventRecord[]): Promise<void> {
    const { ledger, rejections } = this.#parts;
    for (const record of ended.filter(({ status }) => status === 'rejected')) {
      if (record.key === delivery.event?.identity.key) {
        await rejections.noteOwn(delivery.event, record);
        continue;
      }
      const stored = await ledger.read(view.subject, [record.key]);
      await rejections.noteOther(record, stored.events.get(record.key)?.record.body);
    }
  }

  async #rollBack(hold: Hold, error: DpsRejectedError): Promise<Held> {
    const next = rolledBack(hold.view.state, error);
    if (!next) {
      // What else the enrollment is made of comes from the profile: no event is to blame, and none has taken effect.
      const { trackingId } = error.cause;
      const message = `DPS rejects what it accepted before. Mend the enrollment profile. ${error.message}`;
      return this.#park(hold, new RetryLaterError(message, { trackingId, cause: error.cause }));
    }
    await this.#write(hold, next);
    return this.#attempt(hold);
  }

  async #giveBack(hold: Hold): Promise<Held> {
    const { lease: _, ...rest } = hold.view.state;
    await this.#write(hold, { ...rest, ...knowledge(hold) });
    return { kind: 'lost' };
  }

  async #park(hold: Hold, error: RetryLaterError | undefined): Promise<Held> {
    const { delivery } = hold;
    const { ledger, clock, random } = this.#parts;
    const now = clock.now();
    const notBefore = error ? nextAttemptAt(delivery.tries + 1, now, error, random) : now;
    for (;;) {
      const { waiting: _, dps: __, ...rest } = hold.view.state;
      const own = delivery.event?.identity.key;
      const state: SubjectState = {
        ...rest,
        ...knowledge(hold),
        lease: parked(leaseOf(delivery, own, notBefore.getTime())),
        ...(error ? { waiting: waitingFor(error, notBefore, delivery.tries + 1) } : {}),
      };
      try {
        await this.#write(hold, state);
        return { kind: 'parked', notBefore, error };
      } catch (conflict) {
        if (!(conflict instanceof RowConflictError)) {
          throw conflict;
        }
        hold.view = await ledger.read(hold.view.subject);
        if (!isHolder(hold)) {
          return { kind: 'lost' };
        }
      }
    }
  }

  async #write(hold: Hold, state: SubjectState, events: readonly EventRecord[] = []): Promise<void> {
    hold.view = await this.#parts.ledger.write(hold.view, { state, events });
  }

  #desired({ subject, state }: LedgerView): DesiredState {
    return desiredState(subject.kind, subject.id, state.registers, this.#parts.profiles);
  }

  #now(): number {
    return this.#parts.clock.now().getTime();
  }
}

function isRecordDeleted({ registers }: SubjectState): boolean {
  return registers.return !== undefined && !registers.return.done;
}

function isHolder({ view, delivery }: Hold): boolean {
  return view.state.lease?.nonce === delivery.nonce;
}

/** What a holder that stops before the end leaves to the next. */
function knowledge({ remote, view }: Hold): Pick<SubjectState, 'dps' | 'inDoubt' | 'mayExist'> {
  return {
    mayExist: remote.mayExist || view.state.closed !== undefined,
    ...(remote.inDoubt ? { inDoubt: true } : remote.known ? { dps: remote.known } : {}),
  };
}

/** The look that is still due, unless this delivery was it, or as good as it. */
function lookAfter({ look }: SubjectState, { errand }: Delivery): string | undefined {
  const isDone = errand && ('recovery' in errand || errand.look === look);
  return isDone ? undefined : look;
}

function waitingFor(
  error: RetryLaterError,
  notBefore: Date,
  attempts: number,
): SubjectState['waiting'] & object {
  const { message: detail, trackingId } = error;
  const nextAttemptAt = notBefore.toISOString();
  return { nextAttemptAt, detail, ...(trackingId === undefined ? {} : { trackingId }), attempts };
}
