import type { Clock } from '../clock.ts';
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
import { auditFacts } from './audit-facts.ts';
import type { AuditRetention } from './audit-retention.ts';
import type { AuditRun } from './audit-run.ts';
import type { AuditStore } from './audit-store.ts';
import type { CertificateRegister } from './certificate-register.ts';
import type { DpsCapacity } from './dps-capacity.ts';
import type { Finding, FindingCode } from './finding.ts';
import { countOf, type FindingTallies, mostSpelledOut, tallied } from './finding-tally.ts';
import type { Registration, RegistrationSnapshot } from './registration-snapshot.ts';

/** How long the audit waits for a token of its share before its slice gives way. */
const timeoutInMs = 120_000;
const lookupsAtOnce = 16;
/**
 * So many findings a run, and of one code, are looked at by id before they are noted, since queries lag behind writes.
 * Where there are more (a profile was changed, say), lag is not what explains them, and the quota is worth more.
 */
const mostConfirmations = { ofAll: 2_000, ofCode: 500 };
/** Of a fleet that is older than this system: its devices are listed when their events come. */
const mostUnknownListed = 1_000;

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
  readonly store: AuditStore;
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

/** One page, or one handful of buckets, of a run: what it reads of DPS and notes. */
export class AuditStep {
  readonly parts: AuditParts;
  /** As it was when the step began. */
  readonly run: AuditRun;
  /** What this step found, by subject. */
  readonly found = new Map<string, Finding[]>();
  #operations = 0;
  #tallies: FindingTallies;
  #confirmations: AuditRun['confirmations'];
  #unknownListed = 0;

  constructor(parts: AuditParts, run: AuditRun) {
    this.parts = parts;
    this.run = run;
    this.#tallies = run.tallies;
    this.#confirmations = run.confirmations;
  }

  /** The run after this step, with what the step cost. */
  costed(next: AuditRun): AuditRun {
    const operations = this.run.operations + this.#operations;
    return {
      ...next,
      operations,
      // What a listing that begins anew has noted is noted once more.
      tallies: next.tallies === this.run.tallies ? this.#tallies : next.tallies,
      confirmations: this.#confirmations,
      unknownListed: this.run.unknownListed + this.#unknownListed,
    };
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
    const ofCode = this.#confirmations[code] ?? 0;
    const ofAll = Object.values(this.#confirmations).reduce((sum, count) => sum + count, 0);
    if (ofCode >= mostConfirmations.ofCode || ofAll >= mostConfirmations.ofAll) {
      return false;
    }
    this.#confirmations = { ...this.#confirmations, [code]: ofCode + 1 };
    return true;
  }

  async note(...findings: readonly Finding[]): Promise<void> {
    for (const finding of findings) {
      const others = this.found.get(finding.subject) ?? [];
      this.found.set(finding.subject, [...others, finding]);
      this.#tallies = tallied(this.#tallies, finding);
      if (countOf(this.#tallies[finding.code]) > mostSpelledOut) {
        continue;
      }
      await this.parts.store.note(this.run, finding, this.now());
    }
  }

  /** A device that DPS has and no event has named is in lists, too: so many of them, at least. */
  async listUnknown(id: string, registration: Registration | undefined): Promise<void> {
    if (this.run.unknownListed + this.#unknownListed >= mostUnknownListed) {
      return;
    }
    this.#unknownListed++;
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

  async inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const queue = [...items];
    const worker = async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        await work(item);
      }
    };
    await Promise.all(Array.from({ length: Math.min(lookupsAtOnce, queue.length) }, worker));
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
