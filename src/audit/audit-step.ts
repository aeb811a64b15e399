import type { DeviceProvisioningClient } from '../dps/client.ts';
import { InvalidRequestError } from '../dps/errors.ts';
import { ifFound } from '../dps/if-found.ts';
import type { DeviceRegistrationState, EnrollmentGroup, IndividualEnrollment } from '../dps/models.ts';
import type { ThrottledDps } from '../enrollment/dps-access/throttled-dps.ts';
import type { Hubs } from '../enrollment/hub-access/hubs.ts';
import type { Ledger } from '../enrollment/ledger/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/ledger/profiles.ts';
import type { BackgroundQueue } from '../enrollment/pipeline/background-queue.ts';
import type { RejectedEvents } from '../enrollment/rejected/rejected-events.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import type { Clock } from '../tools/clock.ts';
import { inParallel } from '../tools/in-parallel.ts';
import { type AuditCounts, noCounts, sumOf } from './audit-counts.ts';
import { auditFacts } from './audit-facts.ts';
import type { Checkpoint, Unit } from './audit-plan.ts';
import type { AuditRetention } from './audit-retention.ts';
import type { AuditRun } from './audit-run.ts';
import type { CertificateRegister } from './certificate-register.ts';
import type { DpsCapacity } from './dps-capacity.ts';
import type { Finding, FindingCode } from './finding.ts';
import type { FindingStore } from './finding-store.ts';
import { countOf, type FindingTallies, mostSpelledOut, tallied } from './finding-tally.ts';
import { type Lookups, lookedUp } from './lookups.ts';
import type { RecordListing } from './record-listing.ts';
import type { Registration, RegistrationSnapshot } from './registration-snapshot.ts';

/** How long the audit waits for a token of its share before its slice gives way. */
const timeoutInMs = 120_000;
const lookupsAtOnce = 16;

export interface ListedPage<T> {
  readonly items: readonly T[];
  readonly continuation?: string;
}

export interface AuditParts {
  readonly dps: DeviceProvisioningClient;
  readonly throttledDps: ThrottledDps;
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  readonly snapshot: RegistrationSnapshot;
  readonly certificates: CertificateRegister;
  /** What DPS lists, until it is compared with what is stored. */
  readonly listing: RecordListing;
  readonly findings: FindingStore;
  readonly retention: AuditRetention;
  readonly background: BackgroundQueue;
  readonly fleet: FleetIndex;
  readonly rejectedEvents: RejectedEvents;
  /** With HUB_ACCESS=close: they are asked what they let in. */
  readonly hubs?: Hubs | undefined;
  readonly clock: Clock;
  readonly retentionDays: number;
  /** What a DPS instance holds; tests have smaller ones. */
  readonly capacity?: DpsCapacity;
  /** Registration states that a step asks for; tests have fewer. */
  readonly checksPerStep?: number;
}

/** One step of a unit of work: what it reads of DPS and notes. It may be repeated: it counts once it is saved. */
export class AuditStep {
  readonly parts: AuditParts;
  /** With what the units have counted that were done when this one was taken. */
  readonly run: AuditRun;
  /** As it was when the step began. */
  readonly unit: Unit;
  /** What this step found, by subject. */
  readonly found = new Map<string, Finding[]>();
  readonly #toWrite: Finding[] = [];
  #operations = 0;
  #tallies: FindingTallies = {};
  #lookups: Lookups;
  #listed = 0;

  constructor(parts: AuditParts, run: AuditRun, unit: Unit) {
    this.parts = parts;
    this.run = run;
    this.unit = unit;
    this.#lookups = unit.counts.lookups;
  }

  /** The unit after this step, with what the step has cost, found and counted. */
  to(checkpoint: Checkpoint, counted: Partial<AuditCounts> = {}): Unit {
    const counts = { ...noCounts, tallies: this.#tallies, ...counted, operations: this.#operations };
    const sum = sumOf(this.unit.counts, counts);
    return { ...this.unit, checkpoint, counts: { ...sum, lookups: this.#usedLookups() } };
  }

  /** The unit anew: what it had counted counts no more, but what it has cost. */
  restarted(checkpoint: Checkpoint): Unit {
    const { counts, restarts } = this.unit;
    const cost = { operations: counts.operations + this.#operations, lookups: this.#usedLookups() };
    return { ...this.unit, checkpoint, counts: { ...noCounts, ...cost }, restarts: restarts + 1 };
  }

  #usedLookups(): Lookups {
    return { ...this.#lookups, listed: (this.#lookups.listed ?? 0) + this.#listed };
  }

  now(): Date {
    return this.parts.clock.now();
  }

  /** The page of a listing that begins at `continuation`; `expired`: DPS does not take that any more. */
  async page<T>(
    continuation: string | undefined,
    read: (
      settings: PageSettings,
    ) => Promise<IteratorResult<T[] & { continuationToken?: string | undefined }>>,
  ): Promise<ListedPage<T> | 'expired'> {
    let next: Awaited<ReturnType<typeof read>> | undefined;
    try {
      // A group that was deleted since it was listed has nothing to tell.
      next = await this.#call(() => ifFound(read(pageStart(continuation))));
    } catch (error) {
      // All that this request says besides is what the page before it was asked with.
      if (continuation === undefined || !(error instanceof InvalidRequestError)) {
        throw error;
      }
      return 'expired';
    }
    if (!next || next.done) {
      return { items: [] };
    }
    const more = next.value.continuationToken;
    return more === undefined ? { items: next.value } : { items: next.value, continuation: more };
  }

  registrationState(id: string): Promise<DeviceRegistrationState | undefined> {
    return this.#call(() => ifFound(this.parts.dps.deviceRegistrationStates.get(id)));
  }

  enrollment(id: string): Promise<IndividualEnrollment | undefined> {
    return this.#call(() => ifFound(this.parts.dps.individualEnrollments.get(id)));
  }

  group(id: string): Promise<EnrollmentGroup | undefined> {
    return this.#call(() => ifFound(this.parts.dps.enrollmentGroups.get(id)));
  }

  /** Whether a finding of this code may still be looked at by id; it then counts as done. */
  mayConfirm(code: FindingCode): boolean {
    const lookups = lookedUp(this.#lookups, this.unit.grant, code);
    this.#lookups = lookups ?? this.#lookups;
    return lookups !== undefined;
  }

  note(...findings: readonly Finding[]): void {
    for (const finding of findings) {
      const others = this.found.get(finding.subject) ?? [];
      this.found.set(finding.subject, [...others, finding]);
      this.#tallies = tallied(this.#tallies, finding);
      const { code } = finding;
      const found = [this.run.tallies, this.unit.counts.tallies, this.#tallies];
      if (found.reduce((sum, tallies) => sum + countOf(tallies[code]), 0) <= mostSpelledOut) {
        this.#toWrite.push(finding);
      }
    }
  }

  /** To be called before the step counts. */
  async writeFindings(): Promise<void> {
    await this.parts.findings.note(this.run, this.#toWrite, this.now());
  }

  /** A device that DPS has and no event has named is in lists, too: so many of them, at least. */
  async listUnknown(id: string, registration: Registration | undefined): Promise<void> {
    if ((this.unit.counts.lookups.listed ?? 0) + this.#listed >= (this.unit.grant.listed ?? 0)) {
      return;
    }
    this.#listed++;
    const { fleet } = this.parts;
    const subject = { kind: 'device', id } as const;
    const known = await fleet.readIndexed(subject);
    const seen = { registration, waiting: false, findings: this.found.get(id) ?? [] };
    await fleet.audited(
      subject,
      undefined,
      auditFacts(known?.entry.audit, seen, this.now()),
      known ?? 'missing',
    );
  }

  inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    return inParallel(items, lookupsAtOnce, work);
  }

  #call<T>(operation: () => Promise<T>): Promise<T> {
    const deadline = this.now().getTime() + timeoutInMs;
    return this.parts.throttledDps.call('audit', deadline, () => {
      this.#operations++;
      return operation();
    });
  }
}

interface PageSettings {
  continuationToken?: string;
}

function pageStart(continuationToken: string | undefined): PageSettings {
  return continuationToken === undefined ? {} : { continuationToken };
}
