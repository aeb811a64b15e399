import { RetryLaterError } from '../enrollment/dps-access/retry-later-error.ts';
import { subjectOf } from '../enrollment/ledger/ledger.ts';
import type { AuditSlice, BackgroundQueue } from '../enrollment/pipeline/background-queue.ts';
import type { EventBus } from '../events/event-bus.ts';
import type { FleetIndex } from '../fleet/fleet-index.ts';
import { StorageUnavailableError } from '../storage/tables.ts';
import type { Clock } from '../tools/clock.ts';
import type { Log } from '../tools/log.ts';
import type { AuditPhases } from './audit-phases.ts';
import { claimed, completed, hasBegun, left, type Unit } from './audit-plan.ts';
import { type AuditRun, newRun } from './audit-run.ts';
import { type AuditStore, WorkerOvertakenError } from './audit-store.ts';
import { isOfUnknown } from './finding.ts';
import { weekBefore } from './finding-changes.ts';
import type { FindingStore } from './finding-store.ts';
import { withSums } from './finding-tally.ts';
import { AuditFailedError } from './listing.ts';

/** A slice ends after so long, and the next one goes on from its checkpoint: no invocation runs for ever. */
const sliceInMs = 60_000;
const pauseAfterFailureInMs = 60_000;
const startsWithinMs = 60_000;
/** As many as the trend shows. */
const runsCompared = 30;

export interface AuditRunnerParts {
  readonly store: AuditStore;
  readonly findings: FindingStore;
  readonly phases: AuditPhases;
  readonly background: BackgroundQueue;
  readonly bus: EventBus;
  readonly fleet: FleetIndex;
  readonly clock: Clock;
  readonly log: Log;
  /** Records of groups that are gone are kept so long. */
  readonly retentionDays: number;
  /** Where people open a run's report. */
  readonly reportAddress: (runId: string) => string;
}

/** Takes a run from its start to its report: workers work on its units, slice by slice. */
export class AuditRunner {
  readonly #parts: AuditRunnerParts;

  constructor(parts: AuditRunnerParts) {
    this.#parts = parts;
  }

  /** Throws an AuditRunningError if a run is going on already. */
  async start(): Promise<AuditRun> {
    const { store, background, clock, retentionDays } = this.#parts;
    const run = newRun(clock.now(), await store.newestFinished(), retentionDays * 86_400_000);
    const first = { runId: run.id, worker: 0, stage: run.stage, slice: 1 };
    // Sent before: a stop behind the next line would leave a run that nobody works on, and that keeps others out.
    await background.continueAudit({ ...first, slice: 0 }, new Date(clock.now().getTime() + startsWithinMs));
    await store.begin(run, clock.now());
    await background.continueAudit(first);
    return run;
  }

  async slice(slice: AuditSlice): Promise<void> {
    const { store, background, clock, log } = this.#parts;
    const { runId, worker } = slice;
    const run = await store.read(runId);
    if (run?.isUntold === true) {
      return this.#tell(runId);
    }
    if (run?.status !== 'running' || !run.workers.includes(worker)) {
      return;
    }
    if (slice.slice === 0 && hasBegun(run)) {
      return;
    }
    const next = { ...slice, slice: slice.slice + 1 };
    try {
      const isDone = await this.#work(slice, clock.now().getTime() + sliceInMs);
      await (isDone ? undefined : background.continueAudit(next));
    } catch (error) {
      if (error instanceof AuditFailedError) {
        return this.#fail(runId, error.message);
      }
      // The delivery that has overtaken this one may stop, and its message have ended with this one: so this one looks again.
      const isToWait = [RetryLaterError, StorageUnavailableError, WorkerOvertakenError].some(
        (each) => error instanceof each,
      );
      if (!isToWait || !(error instanceof Error)) {
        throw error;
      }
      log('warning', 'audit-waits', { runId, why: error.message });
      await background.continueAudit(next, new Date(clock.now().getTime() + pauseAfterFailureInMs));
    }
  }

  /** Whether nothing is left to do for this worker. */
  async #work({ runId, worker }: AuditSlice, until: number): Promise<boolean> {
    const { store, phases, clock } = this.#parts;
    let { unit, etag } = await store.readWorker(runId, worker);
    let run = await store.read(runId);
    while (run?.status === 'running' && clock.now().getTime() < until) {
      run = await this.#startOthers(run);
      if (run.stage === 'report') {
        await this.#finish(runId);
        return true;
      }
      if (unit && etag !== undefined && unit.checkpoint.phase !== 'done') {
        unit = await phases.step(run, unit);
        etag = await store.saveUnit(runId, worker, unit, { etag, now: clock.now() });
        if (etag === undefined) {
          return true;
        }
        continue;
      }
      const moved = await this.#moveOn(runId, { worker, unit, etag });
      if (!moved) {
        return true;
      }
      ({ run, unit, etag } = moved);
    }
    return run?.status !== 'running';
  }

  /** Adds up what is done, and takes the next unit of this stage or the next. Undefined: others do what is left. */
  async #moveOn(
    runId: string,
    { worker, unit: done, etag }: { worker: number; unit: Unit | undefined; etag: string | undefined },
  ): Promise<{ run: AuditRun; unit: Unit | undefined; etag: string | undefined } | undefined> {
    const { store } = this.#parts;
    let taken: Unit | undefined;
    const changed = await store.change(
      runId,
      (read) => {
        if (read.status !== 'running' || !read.workers.includes(worker)) {
          return undefined;
        }
        const run = done ? completed(read, done) : read;
        const claim = claimed(run);
        taken = claim?.unit;
        return claim ?? { run: left(run, worker) };
      },
      { worker, etag },
    );
    const goesOn = changed?.run.workers.includes(worker) === true;
    return goesOn ? { ...changed, unit: taken } : undefined;
  }

  /** The worker that began a stage may have been stopped before it had sent for the others. */
  async #startOthers(run: AuditRun): Promise<AuditRun> {
    if (run.toStart.length === 0) {
      return run;
    }
    const { store, background } = this.#parts;
    for (const worker of run.toStart) {
      await background.continueAudit({ runId: run.id, worker, stage: run.stage, slice: 1 });
    }
    const changed = await store.change(run.id, (read) =>
      read.stage === run.stage ? { run: { ...read, toStart: [] } } : undefined,
    );
    return changed?.run ?? run;
  }

  async #fail(runId: string, detail: string): Promise<void> {
    const { store, clock, log } = this.#parts;
    const finishedAt = clock.now().toISOString();
    const failed = await store.change(runId, (run) =>
      run.status === 'running' ? { run: { ...run, status: 'failed', finishedAt, detail } } : undefined,
    );
    if (failed) {
      await store.release(runId);
      log('error', 'audit-failed', { runId, why: detail });
    }
  }

  async #finish(runId: string): Promise<void> {
    const { store, findings, clock, fleet } = this.#parts;
    const begun = await store.change(runId, (read) => ({
      run: { ...read, endingAt: read.endingAt ?? clock.now().toISOString() },
    }));
    if (!begun) {
      return;
    }
    const { run } = begun;
    const finishedAt = run.endingAt ?? clock.now().toISOString();
    for await (const { code, subject } of findings.resolveOthers(run, finishedAt)) {
      if (isOfUnknown(code)) {
        await fleet.forget(subjectOf('device', subject));
      }
    }
    const before = weekBefore(run, await store.finished(runsCompared));
    const open = await findings.countOpen(run, finishedAt);
    const counts = withSums(open.result(), run.tallies);
    const changes =
      before?.finishedAt === undefined
        ? undefined
        : await findings.countChanges({ id: before.id, finishedAt: before.finishedAt }, finishedAt, {
            before: before.counts,
            now: counts,
          });
    const finished: AuditRun = {
      ...run,
      summary: { ...run.summary, examples: open.examples() },
      status: 'finished',
      isUntold: true,
      finishedAt,
      counts,
      ...(changes ? { changes } : {}),
    };
    if (!(await store.isInProgress(runId, clock.now()))) {
      return;
    }
    const saved = await store.change(runId, ({ status }) =>
      status === 'running' ? { run: finished } : undefined,
    );
    await (saved && this.#tell(runId));
  }

  /** Whoever is told can read the report. A stop before the end repeats this: the same event, under the same id. */
  async #tell(runId: string): Promise<void> {
    const { store } = this.#parts;
    const run = await store.readWhole(runId);
    if (run) {
      await store.saveNewest(run);
      await this.#publish(run);
      await store.change(runId, ({ isUntold: _, ...told }) => ({ run: told }));
      await store.release(runId);
    }
  }

  async #publish(run: AuditRun): Promise<void> {
    const { bus, log, reportAddress } = this.#parts;
    const { counts, changes } = run;
    const critical = counts?.critical ?? 0;
    const summary = { runId: run.id, operations: run.operations, findings: counts?.open, critical };
    log(critical > 0 ? 'error' : 'information', critical > 0 ? 'audit-critical' : 'audit-completed', summary);
    await bus.publish({
      specversion: '1.0',
      id: run.id,
      source: '/enrollment',
      type: 'audit.completed',
      subject: run.id,
      time: run.finishedAt ?? run.startedAt,
      datacontenttype: 'application/json',
      data: {
        run: run.id,
        report: reportAddress(run.id),
        scanned: run.scanned,
        states: run.states,
        findings: counts?.open,
        critical,
        byCode: counts?.byCode,
        ...(changes ? { changes } : {}),
      },
    });
  }
}
