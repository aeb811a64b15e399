import type { Clock } from '../clock.ts';
import type { DeviceProvisioningClient } from '../dps/client.ts';
import { ifFound } from '../dps/if-found.ts';
import type { DeviceRegistrationState } from '../dps/models.ts';
import { desiredState } from '../enrollment/desired-state.ts';
import type { DpsGate } from '../enrollment/dps-gate.ts';
import { type Ledger, subjectOf } from '../enrollment/ledger.ts';
import type { EnrollmentProfiles } from '../enrollment/profiles.ts';
import type { RejectedEvents } from '../enrollment/rejected-events.ts';
import { isInSync, type SubjectRef, type SubjectState } from '../enrollment/subject-state.ts';
import type { SubjectSweeper } from '../enrollment/subject-sweeper.ts';
import type { AuditRun, Finding, StateCounts } from './audit-run.ts';
import type { AuditStore } from './audit-store.ts';
import {
  batchFindings,
  deviceFindings,
  enrollmentUnknown,
  notApplied,
  registeredButUnknown,
} from './findings.ts';
import { individualBuckets, type RegistrationSnapshot } from './registration-snapshot.ts';
import { checksFor } from './state-checks.ts';

/** How long the audit waits for a token of its share before its slice gives way. */
const patienceInMs = 120_000;
const lookupsAtOnce = 16;
const bucketsPerStep = 16;
/** So many registration states of individual enrollments are asked for in a run, at one operation each. */
const mostStateChecks = 18_000;
/** What is pending for so long has lost its message. */
const appliedWithinMs = 15 * 60_000;

export interface AuditPhasesParts {
  readonly dps: DeviceProvisioningClient;
  readonly gate: DpsGate;
  readonly ledger: Ledger;
  readonly profiles: EnrollmentProfiles;
  readonly snapshot: RegistrationSnapshot;
  readonly store: AuditStore;
  readonly sweeper: SubjectSweeper;
  readonly rejectedEvents: RejectedEvents;
  readonly clock: Clock;
  readonly retentionDays: number;
}

/** The phases of a run. A step is a page, and may be repeated: it counts only once its checkpoint is saved. */
export class AuditPhases {
  readonly #parts: AuditPhasesParts;
  #operations = 0;

  constructor(parts: AuditPhasesParts) {
    this.#parts = parts;
  }

  async step(run: AuditRun): Promise<AuditRun> {
    const before = this.#operations;
    const next = await this.#phase(run);
    return { ...next, operations: run.operations + this.#operations - before };
  }

  #phase(run: AuditRun): Promise<AuditRun> {
    const { checkpoint } = run;
    switch (checkpoint.phase) {
      case 'groups':
        return this.#groups(run, checkpoint.continuation);
      case 'registrations':
        return this.#registrations(run, checkpoint.group, checkpoint.continuation);
      case 'enrollments':
        return this.#enrollments(run, checkpoint.continuation);
      case 'states':
        return this.#states(run, checkpoint.bucket);
      case 'devices':
        return this.#devices(run, checkpoint.continuation);
      case 'batches':
        return this.#batches(run, checkpoint.continuation);
      case 'purge':
        return this.#purge(run, checkpoint.kind);
      default:
        return Promise.resolve(run);
    }
  }

  async #groups(run: AuditRun, continuation: string | undefined): Promise<AuditRun> {
    const page = await this.#page(() =>
      this.#parts.dps.enrollmentGroups.query().byPage(start(continuation)).next(),
    );
    const ids = page.items.map(({ enrollmentGroupId }) => enrollmentGroupId.toLowerCase());
    const groups = [...new Set([...run.groups, ...ids])];
    const scanned = { ...run.scanned, enrollmentGroups: groups.length };
    return {
      ...run,
      groups,
      scanned,
      checkpoint:
        page.continuation === undefined
          ? { phase: 'registrations', group: 0 }
          : { phase: 'groups', continuation: page.continuation },
    };
  }

  async #registrations(run: AuditRun, index: number, continuation: string | undefined): Promise<AuditRun> {
    const group = run.groups[index];
    if (group === undefined) return { ...run, checkpoint: { phase: 'enrollments' } };
    const page = await this.#page(() =>
      this.#parts.dps.deviceRegistrationStates.query(group).byPage(start(continuation)).next(),
    );
    await this.#parts.snapshot.saveGroupPage(group, run.id, page.items);
    await this.#inParallel(page.items, (record) => this.#judgeGroupRecord(run, group, record));
    if (page.continuation === undefined) await this.#parts.snapshot.dropGroupRowsNotOf(group, run.id);
    const groupRegistrations = run.scanned.groupRegistrations + page.items.length;
    return {
      ...run,
      scanned: { ...run.scanned, groupRegistrations },
      states: counted(
        run.states,
        page.items.map(({ status }) => status),
      ),
      checkpoint:
        page.continuation === undefined
          ? { phase: 'registrations', group: index + 1 }
          : { phase: 'registrations', group: index, continuation: page.continuation },
    };
  }

  async #judgeGroupRecord(run: AuditRun, group: string, record: DeviceRegistrationState): Promise<void> {
    const id = record.registrationId?.toLowerCase();
    if (id === undefined || (await this.#parts.ledger.readState(subjectOf('device', id)))) return;
    // Somebody is woken for this, and queries lag behind writes: look at the record itself first.
    const confirmed = await this.#stateOf(id);
    if (confirmed) await this.#note(run, [registeredButUnknown(id, group, confirmed)]);
  }

  async #enrollments(run: AuditRun, continuation: string | undefined): Promise<AuditRun> {
    const page = await this.#page(() =>
      this.#parts.dps.individualEnrollments.query().byPage(start(continuation)).next(),
    );
    await this.#parts.snapshot.saveEnrollments(run.id, page.items);
    await this.#inParallel(page.items, async ({ registrationId }) => {
      const id = registrationId.toLowerCase();
      if (!(await this.#parts.ledger.readState(subjectOf('device', id))))
        await this.#note(run, [enrollmentUnknown(id)]);
    });
    const individualEnrollments = run.scanned.individualEnrollments + page.items.length;
    return {
      ...run,
      scanned: { ...run.scanned, individualEnrollments },
      checkpoint:
        page.continuation === undefined
          ? { phase: 'states', bucket: 0 }
          : { phase: 'enrollments', continuation: page.continuation },
    };
  }

  /** Registration states of individual enrollments come one an operation, so a run asks for the most telling ones. */
  async #states(run: AuditRun, from: number): Promise<AuditRun> {
    if (from >= individualBuckets) return { ...run, checkpoint: { phase: 'devices' } };
    const left = mostStateChecks - run.scanned.individualStates;
    const budget = Math.ceil(left / (individualBuckets - from));
    const buckets = Array.from({ length: bucketsPerStep }, (_, index) => from + index);
    let checked = 0;
    const statuses: (string | undefined)[] = [];
    await this.#inParallel(buckets, async (bucket) => {
      const rows = await this.#checkBucket(run, bucket, budget);
      checked += rows.checked;
      statuses.push(...rows.statuses);
    });
    return {
      ...run,
      scanned: { ...run.scanned, individualStates: run.scanned.individualStates + checked },
      states: counted(run.states, statuses),
      checkpoint: { phase: 'states', bucket: from + bucketsPerStep },
    };
  }

  async #checkBucket(run: AuditRun, bucket: number, budget: number) {
    const { snapshot, clock } = this.#parts;
    await snapshot.dropBucketRowsNotOf(bucket, run.id);
    const rows = await snapshot.bucket(bucket);
    const due = checksFor(rows, budget);
    const statuses = new Map(rows.map((row) => [row.id, row.status]));
    for (const { id } of due) {
      const state = await this.#stateOf(id);
      await snapshot.saveIndividualState(id, run.id, state, clock.now());
      statuses.set(id, state?.status ?? 'unassigned');
    }
    return { checked: due.length, statuses: [...statuses.values()] };
  }

  async #devices(run: AuditRun, continuation: string | undefined): Promise<AuditRun> {
    const { ledger, profiles, snapshot } = this.#parts;
    const page = await ledger.pageOfStates('device', continuation);
    await this.#inParallel(page.states, async ({ id, state: read }) => {
      const state = await this.#sweep(run, { kind: 'device', id }, read);
      if (!state) return;
      const desired = desiredState('device', id, state.registers, profiles);
      const individual = await snapshot.individual(id);
      const inGroup =
        desired.kind === 'member' ? await snapshot.group(desired.enrollmentGroupId, id) : undefined;
      await this.#note(
        run,
        await this.#confirmed(id, deviceFindings({ id, state, desired, individual, inGroup })),
      );
    });
    return {
      ...run,
      checkpoint:
        page.continuation === undefined
          ? { phase: 'batches' }
          : { phase: 'devices', continuation: page.continuation },
    };
  }

  async #batches(run: AuditRun, continuation: string | undefined): Promise<AuditRun> {
    const page = await this.#parts.ledger.pageOfStates('batch', continuation);
    const groups = new Set(run.groups);
    await this.#inParallel(page.states, async ({ id, state: read }) => {
      const state = await this.#sweep(run, { kind: 'batch', id }, read);
      if (!state) return;
      const desired = desiredState('batch', id, state.registers, this.#parts.profiles);
      await this.#note(run, batchFindings(id, desired, groups));
    });
    return {
      ...run,
      checkpoint:
        page.continuation === undefined
          ? { phase: 'purge', kind: 'device' }
          : { phase: 'batches', continuation: page.continuation },
    };
  }

  async #purge(run: AuditRun, kind: 'device' | 'batch'): Promise<AuditRun> {
    const before = new Date(this.#parts.clock.now().getTime() - this.#parts.retentionDays * 86_400_000);
    await this.#parts.ledger.purgeEvents(kind, before.toISOString());
    if (kind === 'batch') await this.#parts.rejectedEvents.purge(before);
    return {
      ...run,
      checkpoint: kind === 'device' ? { phase: 'purge', kind: 'batch' } : { phase: 'report' },
    };
  }

  /** Completes what was never applied; undefined if it cannot be, which is then a finding. */
  async #sweep(run: AuditRun, subject: SubjectRef, state: SubjectState): Promise<SubjectState | undefined> {
    const { clock, sweeper, ledger } = this.#parts;
    if (isInSync(state) && !state.outcomesDue) return state;
    const pendingSince = Date.parse(state.pendingSince ?? '') || 0;
    // Its message is on its way: no finding yet.
    if (clock.now().getTime() - pendingSince < appliedWithinMs) return undefined;
    const { keys } = state.registers;
    if (!keys || keys.applied) {
      await sweeper.complete(subject);
      return ledger.readState(subject);
    }
    await this.#note(run, [notApplied(subject.id, state)]);
    return undefined;
  }

  /** DPS's queries lag behind its writes: what they did not show is looked for by id. */
  async #confirmed(id: string, findings: readonly Finding[]): Promise<Finding[]> {
    const kept: Finding[] = [];
    for (const finding of findings) {
      if (finding.code === 'enrollment-missing' && (await this.#enrollmentExists(id))) continue;
      kept.push(finding);
    }
    return kept;
  }

  async #enrollmentExists(id: string): Promise<boolean> {
    return this.#call(() => ifFound(this.#parts.dps.individualEnrollments.get(id))).then(
      (each) => each !== undefined,
    );
  }

  #stateOf(id: string): Promise<DeviceRegistrationState | undefined> {
    return this.#call(() => ifFound(this.#parts.dps.deviceRegistrationStates.get(id)));
  }

  async #note(run: AuditRun, findings: readonly Finding[]): Promise<void> {
    for (const finding of findings) await this.#parts.store.note(run, finding, this.#parts.clock.now());
  }

  async #page<T>(
    read: () => Promise<IteratorResult<T[] & { continuationToken?: string | undefined }>>,
  ): Promise<{ readonly items: readonly T[]; readonly continuation?: string }> {
    // A group that was deleted since it was listed has nothing to tell.
    const next = await this.#call(() => ifFound(read()));
    if (!next || next.done) return { items: [] };
    const continuation = next.value.continuationToken;
    return continuation === undefined ? { items: next.value } : { items: next.value, continuation };
  }

  #call<T>(operation: () => Promise<T>): Promise<T> {
    const deadline = this.#parts.clock.now().getTime() + patienceInMs;
    return this.#parts.gate.call('audit', deadline, () => {
      this.#operations++;
      return operation();
    });
  }

  async #inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const queue = [...items];
    const worker = async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    };
    await Promise.all(Array.from({ length: Math.min(lookupsAtOnce, queue.length) }, worker));
  }
}

function start(continuationToken: string | undefined): { continuationToken?: string } {
  return continuationToken === undefined ? {} : { continuationToken };
}

function counted(counts: StateCounts, statuses: readonly (string | undefined)[]): StateCounts {
  const next: Record<keyof StateCounts, number> = { ...counts };
  for (const status of statuses)
    if (status !== undefined && status in next) next[status as keyof StateCounts]++;
  return next;
}
